//! No packet costs an allocation, and memory stays flat.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "../../../tests/lib/counting.rs"]
mod counting;

use std::time::Duration;

use bytes::Bytes;
use common::{MEDIA, RTX, VIDEO, line, pt, send, session};
use counting::{allocations, held_by};
use wigwag_media::{Event, LineConfig, PacketExtensions, RtpOut, Session};
use wigwag_proto::Instant;
use wigwag_rtp::{ExtensionKind, RtpTimestamp, SequenceNumber, is_rtcp};

struct Call {
    alice: Session,
    bob: Session,
    now: Instant,
    next: u64,
    payload: Bytes,
    extensions: PacketExtensions,
    received: u64,
}

impl Call {
    fn new() -> Self {
        let (mut alice, mut bob) = (session(1), session(2));
        alice.set_line(Instant(0), VIDEO, line("0", send(MEDIA, Some(RTX))));
        bob.set_line(Instant(0), VIDEO, LineConfig { send: None, ..line("0", None) });
        Self {
            alice,
            bob,
            now: Instant(0),
            next: 0,
            payload: Bytes::from(vec![7; 1000]),
            extensions: [(ExtensionKind::VideoOrientation, [1])].into_iter().collect(),
            received: 0,
        }
    }

    /// A packet each millisecond; `lossy`: every twentieth that leaves is lost, RTX too.
    fn run(&mut self, packets: u64, lossy: bool) {
        let mut room = [0; 1400];
        let mut wire = 0;
        for _ in 0..packets {
            self.next += 1;
            self.now += Duration::from_millis(1);
            let out = RtpOut {
                marker: false,
                payload_type: pt(96),
                sequence_number: SequenceNumber(self.next as u16),
                timestamp: RtpTimestamp((self.next * 90) as u32),
                extensions: self.extensions.clone(),
                payload: self.payload.clone(),
            };
            self.alice.write_rtp(self.now, VIDEO, out).unwrap();
            for from_alice in [true, false] {
                let (from, to) = match from_alice {
                    true => (&mut self.alice, &mut self.bob),
                    false => (&mut self.bob, &mut self.alice),
                };
                if from.poll_timeout().is_some_and(|at| at <= self.now) {
                    from.handle_timeout(self.now);
                }
                while let Some(written) = from.write_packet(self.now, &mut room) {
                    wire += 1;
                    let bytes = &room[..written.len];
                    match is_rtcp(bytes) {
                        true => to.handle_rtcp(self.now, bytes),
                        false if lossy && wire % 20 == 0 => {}
                        false => to.handle_rtp(self.now, bytes),
                    }
                }
            }
            while let Some(Event::Rtp { packet, .. }) = self.bob.poll_event() {
                assert_eq!(packet.payload.len(), 1000);
                assert_eq!(packet.extensions.get(ExtensionKind::VideoOrientation), Some(&[1][..]));
                self.received += 1;
            }
        }
    }
}

#[test]
fn packets_do_not_allocate() {
    let mut call = Call::new();
    call.run(10_000, false);
    let before = allocations();
    call.run(20_000, false);
    assert_eq!(allocations() - before, 0);
    assert_eq!(call.received, 30_000);
}

#[test]
fn neither_do_losses_and_their_repair() {
    let mut call = Call::new();
    call.run(10_000, true);
    let before = allocations();
    call.run(20_000, true);
    assert_eq!(allocations() - before, 0);
    let stats = call.bob.stats(VIDEO).unwrap().inbound;
    assert!(stats.recovered > 1000 && call.received >= 30_000 - 5, "{stats:?}");
}

/// Bytes that both ends hold after so many simulated minutes, one more with what was held before.
fn held_after(minutes: u64) -> usize {
    let mut call = Call::new();
    call.run(minutes * 60_000, true);
    held_by(call)
}

#[test]
fn memory_stays_flat_for_ten_minutes() {
    let [early, late] = [1, 10].map(held_after);
    assert!(late <= early, "{early} bytes after a minute, {late} after ten");
    // The history's slots and order, and two chunks: payloads are shared.
    assert!(late < 1 << 20, "{late}");
}

#[test]
fn an_idle_session_holds_little() {
    let fresh = held_by(Call::new());
    let mut call = Call::new();
    call.run(10_000, true);
    for _ in 0..30 {
        call.now += Duration::from_millis(500);
        for session in [&mut call.alice, &mut call.bob] {
            session.handle_timeout(call.now);
            while session.write_packet(call.now, &mut [0; 1400]).is_some() {}
        }
    }
    let idle = held_by(call);
    assert!(idle < fresh + (16 << 10), "{fresh} bytes when fresh, {idle} when idle");
}
