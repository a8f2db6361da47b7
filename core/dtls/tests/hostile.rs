//! Bytes that no peer would send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{CLIENT, GOOD, Pair, SERVER};
use proptest::prelude::*;
use wigwag_dtls::Versions;

/// What is done to a datagram.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat,
    Swap(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        4 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Cut),
        1 => (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => Just(Mutation::Repeat),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Swap),
    ]
}

fn mutate(datagram: &mut Vec<u8>, mutation: &Mutation) {
    if datagram.is_empty() {
        return;
    }
    let len = datagram.len();
    match mutation {
        Mutation::Flip(at, bit) => datagram[at.index(len)] ^= 1 << bit,
        Mutation::Set(at, byte) => datagram[at.index(len)] = *byte,
        Mutation::Cut(at) => datagram.truncate(at.index(len)),
        Mutation::Insert(at, bytes) => {
            let at = at.index(len);
            datagram.splice(at..at, bytes.iter().copied());
        }
        Mutation::Repeat => datagram.extend_from_within(..),
        Mutation::Swap(at) => datagram.rotate_left(at.index(len)),
    }
}

fn versions() -> impl Strategy<Value = [Versions; 2]> {
    let one = prop::sample::select(vec![Versions::Any, Versions::Dtls12, Versions::Dtls13]);
    (one.clone(), one).prop_map(|(client, server)| [client, server])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// A handshake in which some datagrams are changed on their way.
    #[test]
    fn a_mutated_handshake(
        versions in versions(),
        plan in prop::collection::vec((0..12_usize, prop::collection::vec(mutation(), 1..4)), 1..6),
    ) {
        let mut pair = Pair::new(1, versions, GOOD);
        pair.start();
        let mut count = 0;
        for _ in 0..12 {
            for from in [CLIENT, SERVER] {
                for original in pair.ends[from].packets(pair.now) {
                    let mutations = plan.iter().filter(|(at, _)| *at == count);
                    let mut changed = original.clone();
                    mutations.flat_map(|(_, list)| list).for_each(|mutation| mutate(&mut changed, mutation));
                    pair.ends[1 - from].open(pair.now, &mut changed);
                    count += 1;
                }
            }
            pair.run(Duration::ZERO);
            pair.now += Duration::from_millis(400);
            let now = pair.now;
            pair.ends.iter_mut().for_each(|end| end.dtls.handle_timeout(now));
        }
    }

    /// Anything, between the datagrams of a handshake.
    #[test]
    fn noise_in_a_handshake(
        versions in versions(),
        noise in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), 0..4_u8), 1..40),
    ) {
        let mut pair = Pair::new(1, versions, GOOD);
        pair.start();
        for (to, mut bytes, kind) in noise {
            // Make it look like a record, most of the time.
            let len = bytes.len();
            if kind > 0 && len > 14 {
                bytes[0] = [22, 20, 44 + kind][usize::from(kind) - 1];
                (bytes[1], bytes[2], bytes[3], bytes[4]) = (254, 253, 0, 0);
                (bytes[11], bytes[12]) = (0, (len - 13) as u8);
            }
            pair.ends[usize::from(to)].open(pair.now, &mut bytes);
            pair.run(Duration::from_millis(3));
        }
    }

    /// Anything, once connected: nothing is delivered, and nothing breaks.
    #[test]
    fn noise_in_a_connection(
        thirteen: bool,
        noise in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), 0..40_u8), 1..60),
    ) {
        let mut pair = Pair::connected(if thirteen { Versions::Dtls13 } else { Versions::Dtls12 });
        for (to, mut bytes, kind) in noise {
            if let [first, ..] = &mut bytes[..] {
                *first = 20 + kind;
            }
            let len = bytes.len();
            if len > 13 && kind % 2 == 0 {
                (bytes[1], bytes[2], bytes[3]) = (254, 253, 0);
                bytes[4] &= 1;
                (bytes[11], bytes[12]) = (0, (len - 13) as u8);
            }
            pair.ends[usize::from(to)].open(pair.now, &mut bytes);
        }
        pair.run(Duration::from_secs(10));
        for from in [CLIENT, SERVER] {
            prop_assert!(pair.ends[from].received.is_empty());
            let mut record = pair.ends[from].seal(b"still here").expect("still connected");
            pair.ends[1 - from].open(pair.now, &mut record);
            prop_assert_eq!(pair.ends[1 - from].received.pop(), Some(b"still here".to_vec()));
        }
    }
}

/// A fragment in a record in the clear.
fn fragment(kind: u8, len: usize, seq: u16, offset: usize, part: &[u8]) -> Vec<u8> {
    let u24 = |number: usize| [(number >> 16) as u8, (number >> 8) as u8, number as u8];
    let [high, low] = seq.to_be_bytes();
    let body = [&[kind][..], &u24(len), &[high, low], &u24(offset), &u24(part.len()), part].concat();
    let [len_high, len_low] = (body.len() as u16).to_be_bytes();
    [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, len_high, len_low][..], &body].concat()
}

/// Fragments of messages that never come, of all kinds, before and between those that do: the handshake goes on.
#[test]
fn fragments_of_nothing() {
    for versions in [Versions::Any, Versions::Dtls12, Versions::Dtls13] {
        let mut pair = Pair::new(1, [versions; 2], GOOD);
        pair.start();
        for round in 0..60 {
            for to in [CLIENT, SERVER] {
                for seq in [3, 5, 9, 30, u16::MAX] {
                    for (len, offset, part) in
                        [(0xFF_FFFF, 0xFF_FF00, 10), (60_000, 0, 0), (65_000, 64_000, 900), (10, 5, 9), (0, 0, 0)]
                    {
                        let mut forged = fragment(round, len, seq, offset, &vec![7; part]);
                        pair.ends[to].open(pair.now, &mut forged);
                    }
                }
            }
            pair.run(Duration::from_millis(7));
        }
        pair.run(Duration::from_secs(20));
        // In DTLS 1.2 a forged message that is complete ends the handshake, as it would with any implementation.
        if versions != Versions::Dtls12 {
            assert!(pair.ends.iter().all(|end| end.dtls.is_connected()), "{versions:?} {:?}", pair.ends[0].dtls);
        }
    }
}
