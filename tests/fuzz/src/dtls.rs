//! Two ends of a handshake, their flights changed on the way, and datagrams of nobody.

use std::collections::{BTreeSet, VecDeque};
use std::sync::OnceLock;

use wigwag_crypto::Provider;
use wigwag_dtls::{Certificate, Config, Dtls, Event, Fingerprint, Role, Versions};
use wigwag_proto::{Instant, WallClock, random};

use crate::bounds::{Memory, deadline_moved};
use crate::script::Script;
use crate::{count_steps, crypto};

/// Two ends: each holds at most 64 KiB of fragments, 20 of early records, 32 of payloads, and its flights.
pub const MEMORY: usize = 1 << 20;
/// Datagrams under way; more are lost.
const MAX_FLYING: usize = 64;

/// A certificate and a fingerprint that is not its own, made once: for the providers of glass.
fn certificates(provider: Provider, credulous: bool) -> &'static [Certificate; 2] {
    static CERTIFICATES: [OnceLock<[Certificate; 2]>; 2] = [OnceLock::new(), OnceLock::new()];
    CERTIFICATES[usize::from(credulous)].get_or_init(|| {
        [1, 2].map(|seed| Certificate::generate(provider, &mut random::seeded([seed; 32]), WallClock(1 << 50)).unwrap())
    })
}

struct End {
    dtls: Dtls,
    incoming: VecDeque<Vec<u8>>,
    sealed: BTreeSet<Vec<u8>>,
}

struct Pair {
    ends: [End; 2],
    fingerprints: [Fingerprint; 2],
    now: Instant,
    /// Whether what was changed is taken.
    credulous: bool,
    count: u16,
    /// Who was told a fingerprint.
    known: [bool; 2],
    memory: Memory,
}

pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let (how, versions) = (script.byte(), script.byte());
    let credulous = how & 1 != 0;
    let provider = if credulous { crypto::credulous() } else { crypto::checked() };
    let certificates = certificates(provider, credulous);
    let memory = Memory::within(MEMORY);
    let mut side = 0_u8;
    let ends = certificates.each_ref().map(|certificate| {
        let mut config = Config::new(certificate.clone(), provider);
        let all = [Versions::Any, Versions::Dtls12, Versions::Dtls13];
        config.versions = all[usize::from(versions >> (side * 2) & 3) % 3];
        config.mtu = if versions & 16 == 0 { 1200 } else { 300 };
        config.records_per_key = if versions & 32 == 0 { 1 << 23 } else { 3 };
        side += 1;
        End { dtls: Dtls::new(config, random::seeded([side; 32])), incoming: VecDeque::new(), sealed: BTreeSet::new() }
    });
    let fingerprints = certificates.each_ref().map(Certificate::fingerprint);
    let mut pair = Pair { ends, fingerprints, now: Instant(1_000_000), credulous, count: 0, known: [false; 2], memory };
    if how & 2 != 0 {
        pair.introduce(0);
        pair.introduce(1);
    }
    if how & 4 != 0 {
        pair.start(0);
        pair.start(1);
    }
    if how & 14 == 14 {
        (0..8).for_each(|_| pair.exchange());
    }
    pair.events();
    let mut steps = 0;
    while let Some(step) = script.next() {
        pair.step(step, &mut script);
        pair.memory.check();
        steps += 1;
    }
    count_steps(steps);
    let Pair { ends, memory, fingerprints, .. } = pair;
    drop((ends, fingerprints));
    memory.is_given_back();
}

impl Pair {
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let side = usize::from(step & 1);
        let now = self.now;
        match step >> 1 & 0x0F {
            0 | 1 => self.deliver(side),
            2 => {
                let incoming = &mut self.ends[side].incoming;
                incoming.front().cloned().into_iter().for_each(|again| incoming.push_back(again));
                if script.flag() {
                    incoming.pop_front();
                }
            }
            3 | 4 => self.change(side, script),
            5 => {
                let mut datagram = script.bytes(255).to_vec();
                self.open(side, &mut datagram);
            }
            6 => self.forge_record(side, script),
            7 => self.forge_fragment(side, script),
            8 => {
                self.now += script.duration();
                self.time();
            }
            9 => {
                let deadlines = self.ends.iter().filter_map(|end| end.dtls.poll_timeout());
                self.now += deadlines.min().unwrap_or(now) - now;
                self.time();
            }
            10 | 11 => self.exchange(),
            12 => self.seal(side, script),
            13 => self.start(side),
            14 => self.introduce(side),
            _ => match script.byte() & 7 {
                0 => self.ends[side].dtls.close(now),
                1 => {
                    // Not the other's, but our own.
                    self.ends[side].dtls.set_remote_fingerprints(vec![self.fingerprints[side].clone()]);
                    self.known[side] = self.credulous;
                }
                2 => self.ends[side].dtls.set_remote_fingerprints(Vec::new()),
                _ => {
                    let dtls = &self.ends[side].dtls;
                    let _ = (dtls.stats(), dtls.version(), dtls.remote_certificate().map(<[u8]>::len), dtls.is_over());
                }
            },
        }
        self.events();
    }

    fn introduce(&mut self, side: usize) {
        let fingerprint = self.fingerprints[1 - side].clone();
        self.ends[side].dtls.set_remote_fingerprints(vec![fingerprint]);
        self.known[side] = true;
    }

    fn start(&mut self, side: usize) {
        let role = if side == 0 { Role::Client } else { Role::Server };
        self.ends[side].dtls.start(self.now, role);
    }

    fn open(&mut self, to: usize, datagram: &mut [u8]) {
        let sealed = self.ends[1 - to].sealed.clone();
        let mut payloads = 0;
        self.ends[to].dtls.open(self.now, datagram, |payload| {
            payloads += 1;
            assert!(self.credulous || sealed.contains(payload), "a payload that nobody sent: {payload:?}");
        });
        assert!(
            payloads == 0 || self.ends[to].dtls.is_connected() || self.ends[to].dtls.is_over(),
            "a payload too early"
        );
    }

    fn deliver(&mut self, to: usize) {
        if let Some(mut datagram) = self.ends[to].incoming.pop_front() {
            self.open(to, &mut datagram);
        }
    }

    /// Changes bytes of the datagram that comes next, or its length.
    fn change(&mut self, to: usize, script: &mut Script<'_>) {
        let Some(datagram) = self.ends[to].incoming.front_mut() else { return };
        let at = usize::from(script.u16()) % datagram.len().max(1);
        match script.byte() {
            0 => datagram.truncate(at),
            1 => {
                let more = script.bytes(64);
                datagram.splice(at..at, more.iter().copied());
            }
            2 => {
                let end = (at + usize::from(script.byte())).min(datagram.len());
                datagram.drain(at..end);
            }
            3 => datagram.rotate_left(at),
            mask => datagram.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask),
        }
    }

    /// A record in the clear of any type and content.
    fn forge_record(&mut self, to: usize, script: &mut Script<'_>) {
        let kind = 20 + script.byte() % 8;
        let (epoch, sequence) = (script.byte() & 3, script.byte());
        let body = script.bytes(200);
        let header = [kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, sequence, 0, body.len() as u8];
        self.open(to, &mut [&header[..], body].concat());
    }

    /// A piece of a handshake message.
    fn forge_fragment(&mut self, to: usize, script: &mut Script<'_>) {
        let kinds = [0, 1, 2, 3, 4, 8, 11, 12, 13, 14, 15, 16, 20, 24, 255];
        let kind = script.pick(&kinds).unwrap_or_default();
        let number = script.byte();
        let len = script.u16();
        let offset = script.u16();
        let body = script.bytes(200);
        let [len_high, len_low] = len.to_be_bytes();
        let [offset_high, offset_low] = offset.to_be_bytes();
        let part = body.len() as u8;
        let message = [kind, 0, len_high, len_low, 0, number, 0, offset_high, offset_low, 0, 0, part];
        let header = [22, 254, 253, 0, 0, 0, 0, 0, 0, 1, script.byte(), 0, part + 12];
        self.open(to, &mut [&header[..], &message, body].concat());
    }

    fn time(&mut self) {
        let now = self.now;
        for end in &mut self.ends {
            if end.dtls.poll_timeout().is_some_and(|at| at <= now) {
                end.dtls.handle_timeout(now);
                deadline_moved(now, end.dtls.poll_timeout());
            }
        }
    }

    /// Both say what they have to say, and it arrives.
    fn exchange(&mut self) {
        for from in [0, 1] {
            let mut room = [0; 1500];
            for count in 0.. {
                assert!(count < 1000, "an endless output");
                let promised = self.ends[from].dtls.can_transmit();
                let len = self.ends[from].dtls.write_packet(self.now, &mut room);
                assert_eq!(promised, len.is_some(), "can_transmit");
                let Some(len) = len else { break };
                let incoming = &mut self.ends[1 - from].incoming;
                if incoming.len() < MAX_FLYING {
                    incoming.push_back(room[..len].to_vec());
                }
            }
            while !self.ends[1 - from].incoming.is_empty() {
                self.deliver(1 - from);
            }
        }
    }

    fn seal(&mut self, from: usize, script: &mut Script<'_>) {
        self.count = self.count.wrapping_add(1);
        let payload = [&self.count.to_be_bytes()[..], &[0xDA; 200][..usize::from(script.byte() % 200)]].concat();
        let dtls = &mut self.ends[from].dtls;
        let overhead = dtls.overhead();
        let mut segment = vec![0; overhead.total() + payload.len()];
        segment[overhead.prefix..overhead.prefix + payload.len()].copy_from_slice(&payload);
        let is_connected = dtls.is_connected();
        let Some(len) = dtls.seal(&mut segment, payload.len()) else { return };
        assert!(is_connected && len == segment.len());
        self.ends[from].sealed.insert(payload);
        if self.ends[from].sealed.len() > 200 {
            self.ends[from].sealed.pop_first();
            self.ends[1 - from].incoming.clear();
        }
        let incoming = &mut self.ends[1 - from].incoming;
        if incoming.len() < MAX_FLYING {
            incoming.push_back(segment);
        }
    }

    fn events(&mut self) {
        for side in [0, 1] {
            while let Some(event) = self.ends[side].dtls.poll_event() {
                if let Event::Connected { .. } = event {
                    assert!(self.known[side], "connected, and no fingerprint was told");
                    let dtls = &self.ends[side].dtls;
                    assert!(dtls.is_over() || dtls.remote_certificate().is_some());
                }
            }
            if self.ends[side].dtls.is_over() {
                assert!(!self.ends[side].dtls.is_connected());
            }
        }
    }
}
