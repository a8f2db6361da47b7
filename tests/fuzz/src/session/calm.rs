//! How a schedule ends: the network is good again, and what was promised is kept; then both close.

use std::time::Duration;

use wigwag::{Reliability, SessionDescription, SignalingState};

use super::world::World;

/// Long enough for whatever backs off: SCTP's timer goes up to three seconds.
const CALM: Duration = Duration::from_secs(20);
/// `close` waits five seconds, and ICE's last transactions thirty.
const END: Duration = Duration::from_secs(60);
/// More wakes than that in a minute are a livelock, however it is paced.
const MAX_WAKES: usize = 20_000;

impl World {
    /// If both are connected, everything that was accepted arrives. If not, there is nothing to be promised.
    /// How many messages that is.
    pub fn calm_down(&mut self) -> u64 {
        self.sides.iter_mut().for_each(|side| side.listens = true);
        self.exchange();
        let is_agreed = self.come_to_terms();
        self.run(CALM);
        let is_up = self.sides.iter().all(|side| side.is_connected() && side.is_honest && !side.distrusts);
        if !is_up || !is_agreed || self.is_mangled {
            return 0;
        }
        let mut kept = 0;
        for [from, to] in [[0, 1], [1, 0]] {
            for (&id, &sent) in &self.sides[from].channels {
                let (sender, receiver) = (&self.sides[from], &self.sides[to]);
                let Some(channel) = sender.pc.channel(id).filter(|_| sender.ledgers.contains_key(&id)) else {
                    continue;
                };
                if channel.config.reliability != Reliability::Reliable {
                    continue;
                }
                let ledgers = receiver.ledgers.iter();
                let mut heard = ledgers
                    .filter(|(id, _)| receiver.pc.channel(**id).is_some_and(|other| other.stream == channel.stream));
                if let Some((_, ledger)) = heard.next() {
                    kept += sent;
                    let waits = sender.pc.buffered_amount(id);
                    assert_eq!(
                        (ledger.count, waits),
                        (sent, 0),
                        "messages that were accepted did not arrive: {channel:?}"
                    );
                }
            }
        }
        kept
    }

    /// Sockets are back, offers that hang in the air are taken back, and both agree on new checks.
    fn come_to_terms(&mut self) -> bool {
        let now = self.now;
        for side in &mut self.sides {
            let _ = side.pc.add_udp_socket(now, side.address);
            let _ = match side.pc.signaling_state() {
                SignalingState::HaveLocalOffer => side.pc.set_local_description(now, SessionDescription::rollback()),
                SignalingState::HaveRemoteOffer => side.pc.set_remote_description(now, SessionDescription::rollback()),
                _ => Ok(()),
            };
        }
        self.sides[0].pc.restart_ice();
        self.negotiate(0)
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for wakes in 0.. {
            assert!(wakes < MAX_WAKES, "a livelock: {wakes} wakes until {:?}", self.now);
            self.exchange();
            let next = self.sides.iter().filter_map(|side| side.pc.poll_timeout()).min();
            if next.is_none_or(|next| next > end) {
                self.now = end;
                return;
            }
            self.pass_to_deadline();
        }
    }

    /// Both close, and nothing of them goes on.
    pub fn end(&mut self) {
        let now = self.now;
        for side in &mut self.sides {
            side.pc.close(now);
            side.listens = true;
        }
        self.run(END);
        for side in &mut self.sides {
            side.learn();
            let pc = &side.pc;
            assert!(pc.is_closed(), "closed for a minute, and not closed: {:?}", pc.connection_state());
            assert_eq!(pc.poll_timeout(), None, "closed, and it wants to be woken");
            assert!(side.keys.is_empty(), "closed, and an endpoint still has {:?}", side.keys);
            assert!(side.channels.is_empty(), "closed, and channels were not told so: {:?}", side.channels);
        }
    }
}
