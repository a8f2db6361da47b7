//! Random orders of whatever two applications and their signalling can do: both sides end up with the same. The seed of a
//! failure is in its message; `WIGWAG_SEED` runs one alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use rand::{Rng, RngExt};
use wigwag::random::Random;
use wigwag::{
    ChannelInit, Config, Direction, Event, Instant, MediaKind, PeerConnection, SessionDescription, SignalingState,
    TransceiverId, TransceiverInit, default_codecs,
};

const NOW: Instant = Instant(1_000_000);
/// Seeds in one go, if `WIGWAG_RUNS` does not say another number.
const RUNS: u64 = 100;
const STEPS: usize = 30;
/// Offers until nobody wants another: each side's wishes, and what the other's answer could not say.
const MAX_ROUNDS: usize = 8;

fn bytes(seed: u64, n: u8) -> [u8; 32] {
    let mut bytes = [n; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

struct Side {
    pc: PeerConnection,
    wants_offer: bool,
    /// It has created a data channel.
    wants_data: bool,
}

impl Side {
    fn new(seed: u64, n: u8) -> Self {
        let mut pc = PeerConnection::new(Config::new(bytes(seed, n))).unwrap();
        pc.add_udp_socket(NOW, format!("10.0.0.{n}:{n}000").parse().unwrap()).unwrap();
        Self { pc, wants_offer: false, wants_data: false }
    }

    fn listen(&mut self) {
        while let Some(event) = self.pc.poll_event() {
            self.wants_offer |= matches!(event, Event::NegotiationNeeded);
        }
    }

    fn any(&self, random: &mut Random) -> Option<TransceiverId> {
        let all: Vec<_> = self.pc.transceivers().map(|it| it.id).collect();
        (!all.is_empty()).then(|| all[random.random_range(0..all.len())])
    }

    /// Something that an application does. What is refused, is refused: it must leave everything as it was.
    fn act(&mut self, random: &mut Random) {
        let kind = if random.random() { MediaKind::Audio } else { MediaKind::Video };
        let direction = Direction::ALL[random.random_range(0..4)];
        match random.random_range(0..9) {
            0 => drop(self.pc.add_transceiver(kind, TransceiverInit { direction, ..Default::default() })),
            1 => drop(self.pc.add_track(kind, None, vec!["stream".to_owned()])),
            2 | 3 => drop(self.any(random).map(|id| self.pc.set_direction(id, direction))),
            4 => drop(self.any(random).map(|id| self.pc.stop_transceiver(id))),
            5 => self.wants_data |= self.pc.create_data_channel("data", ChannelInit::default()).is_ok(),
            6 => drop(self.any(random).map(|id| {
                let mut codecs = default_codecs(self.pc.transceiver(id).unwrap().kind);
                let (turn, keep) = (random.random_range(0..codecs.len()), random.random_range(0..=codecs.len()));
                codecs.rotate_left(turn);
                codecs.truncate(keep);
                if random.random() {
                    // Numbers that clash with each other, with what is in use, and with RTCP.
                    codecs.iter_mut().for_each(|codec| codec.payload_type = random.random_range(60..128));
                }
                self.pc.set_codec_preferences(id, codecs)
            })),
            7 => drop(self.any(random).map(|id| self.pc.set_streams(id, vec![format!("s{}", random.next_u32() % 3)]))),
            _ => drop(self.pc.create_offer()),
        }
    }
}

/// The same offer without data channels: what is left is rejected by the answer to it.
fn without_data(offer: SessionDescription) -> SessionDescription {
    let line = |line: &str| match line.strip_prefix("m=application ").and_then(|rest| rest.split_once(' ')) {
        Some((_, rest)) => format!("m=application 0 {rest}"),
        None => line.to_owned(),
    };
    SessionDescription { sdp: offer.sdp.split_inclusive('\n').map(line).collect(), ..offer }
}

/// An offer that is answered, replaced, or taken back on the way; with `random`, applications act in between. Gives whether somebody
/// on the way took the data channels out of the offer, so that they were rejected.
fn exchange(offerer: &mut Side, answerer: &mut Side, random: &mut Option<&mut Random>) -> bool {
    let mut between = |one: &mut Side| {
        if let Some(random) = random {
            (0..random.random_range(0..3)).for_each(|_| one.act(random));
            return random.random_range(0..10);
        }
        9
    };
    let offer = offerer.pc.set_local_description_implicitly(NOW).unwrap();
    if between(offerer) == 0 {
        offerer.pc.set_local_description(NOW, SessionDescription::rollback()).unwrap();
        return false;
    }
    let again = if between(offerer) == 1 { offerer.pc.set_local_description_implicitly(NOW).unwrap() } else { offer };
    if between(offerer) == 2 {
        // Glare: the answerer, who is polite, has an offer of its own pending; this one takes it back.
        answerer.pc.set_local_description_implicitly(NOW).unwrap();
    }
    answerer.pc.set_remote_description(NOW, again).unwrap();
    if between(answerer) == 0 {
        answerer.pc.set_remote_description(NOW, SessionDescription::rollback()).unwrap();
        offerer.pc.set_local_description(NOW, SessionDescription::rollback()).unwrap();
        return false;
    }
    let mut is_cut = false;
    if between(offerer) == 3 {
        // An offer made anew replaces the one that the answerer has.
        let replaced = offerer.pc.set_local_description_implicitly(NOW).unwrap();
        is_cut = between(offerer) < 3 && replaced.sdp.contains("m=application ");
        let replaced = if is_cut { without_data(replaced) } else { replaced };
        answerer.pc.set_remote_description(NOW, replaced).unwrap();
    }
    let answer = answerer.pc.set_local_description_implicitly(NOW).unwrap();
    between(offerer);
    offerer.pc.set_remote_description(NOW, answer).unwrap();
    between(answerer);
    is_cut
}

fn run(seed: u64) {
    let mut random = wigwag::random::seeded(bytes(seed, 0));
    let mut sides = [Side::new(seed, 1), Side::new(seed, 2)];
    let mut was_cut = false;
    for _ in 0..STEPS {
        let which = usize::from(random.random::<bool>());
        match random.random_range(0..4) {
            0 => {
                let [one, other] = &mut sides;
                let (offerer, answerer) = if which == 0 { (one, other) } else { (other, one) };
                was_cut |= exchange(offerer, answerer, &mut Some(&mut random));
            }
            _ => sides[which].act(&mut random),
        }
        for side in &sides {
            assert_eq!(side.pc.signaling_state(), SignalingState::Stable);
        }
    }
    let mut rounds = 0;
    loop {
        sides.iter_mut().for_each(Side::listen);
        let [one, other] = &mut sides;
        match (one.wants_offer, other.wants_offer) {
            (true, _) => {
                one.wants_offer = false;
                exchange(one, other, &mut None);
            }
            (_, true) => {
                other.wants_offer = false;
                exchange(other, one, &mut None);
            }
            _ => break,
        }
        rounds += 1;
        assert!(rounds <= MAX_ROUNDS, "offers without end");
    }
    agree(&sides);
    let has_data = |side: &Side| {
        let description = side.pc.local_description();
        description.is_some_and(|it| it.sdp.contains("m=application ") && !it.sdp.contains("m=application 0 "))
    };
    if !was_cut {
        let wants_data = sides.iter().any(|side| side.wants_data);
        assert!(sides.iter().all(|side| has_data(side) == wants_data), "whoever wants channels gets them");
    }
}

fn agree([one, other]: &[Side; 2]) {
    let used = |side: &Side| {
        let mut used: Vec<_> = side.pc.transceivers().filter(|it| it.mid.is_some()).cloned().collect();
        used.sort_by(|a, b| a.mid.cmp(&b.mid));
        used
    };
    let (ones, others) = (used(one), used(other));
    assert_eq!(ones.len(), others.len());
    for (a, b) in ones.iter().zip(&others) {
        assert_eq!((&a.mid, a.kind, a.is_stopped), (&b.mid, b.kind, b.is_stopped));
        assert_eq!(a.current_direction, b.current_direction.map(Direction::reversed));
        let names = |side: &wigwag::Transceiver| {
            // In the order that the other wants, which may not be the same.
            side.codecs.iter().map(|codec| (codec.payload_type, codec.name.clone())).collect::<BTreeSet<_>>()
        };
        assert_eq!(names(a), names(b));
        assert_eq!(a.remote_track.as_ref().filter(|_| a.can_receive()), Some(&b.track).filter(|_| b.can_send()));
        // Everybody gets what he wants, as far as the other wants it, too.
        let wanted = |a: &wigwag::Transceiver, b: &wigwag::Transceiver| a.direction.sends() && b.direction.receives();
        assert_eq!(a.can_send(), wanted(a, b), "{a:?}\n{b:?}");
    }
}

#[test]
fn both_sides_end_with_the_same() {
    let seeds = match std::env::var("WIGWAG_SEED") {
        Ok(seed) => seed.parse().unwrap()..seed.parse::<u64>().unwrap() + 1,
        Err(_) => 0..std::env::var("WIGWAG_RUNS").map_or(RUNS, |runs| runs.parse().unwrap()),
    };
    for seed in seeds {
        if let Err(error) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("with WIGWAG_SEED={seed}");
            std::panic::resume_unwind(error);
        }
    }
}
