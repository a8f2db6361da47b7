use super::*;
use proptest::prelude::*;

const MESSAGE: u8 = BEGINNING | ENDING;

fn receive(initial_tsn: u32) -> Receive {
    Receive::new(initial_tsn, Format::Data, 1 << 20, 256 << 10, Duration::from_millis(20))
}

fn data(tsn: u32, ssn: u16, flags: u8, payload: &[u8]) -> Data<'_> {
    Data { flags, tsn, stream: 0, sequence: ssn.into(), fsn: 0, ppid: 53, payload }
}

fn ready(receive: &mut Receive) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| receive.poll_ready()).map(|message| message.data.to_vec()).collect()
}

#[test]
fn an_unordered_message_does_not_wait_for_a_hole() {
    let mut receive = receive(10);
    receive.data(data(12, 0, UNORDERED | BEGINNING, b"ab"));
    receive.data(data(14, 0, UNORDERED | ENDING, b"ef"));
    assert!(ready(&mut receive).is_empty());
    receive.data(data(13, 0, UNORDERED, b"cd"));
    assert_eq!(ready(&mut receive), [b"abcdef"]);
    assert_eq!(receive.cumulative(), 9);
    receive.data(data(10, 0, BEGINNING, b"x"));
    receive.data(data(11, 0, ENDING, b"y"));
    assert_eq!(receive.cumulative(), 14);
    assert_eq!(ready(&mut receive), [b"xy"]);
}

fn interleaved(tsn: u32, stream: u16, sequence: u32, fsn: u32, flags: u8, payload: &[u8]) -> Data<'_> {
    Data { flags, tsn, stream, sequence, fsn, ppid: if flags & BEGINNING != 0 { 53 } else { 0 }, payload }
}

fn with_interleaving() -> Receive {
    Receive::new(0, Format::Interleaved, 1 << 20, 256 << 10, Duration::from_millis(20))
}

/// Stream, message identifier, fragment sequence number, flags, payload.
type Cut = (u16, u32, u32, u8, Vec<u8>);

/// Messages on several streams, cut anywhere, arrive in any order, twice: all are delivered whole, nothing stays behind.
#[test]
fn mixed_pieces_in_any_order() {
    for seed in 0..300_u32 {
        let mut dice = seed.wrapping_mul(0x9e37_79b9) | 1;
        let mut roll = |n: u32| {
            dice ^= dice << 13;
            dice ^= dice >> 17;
            dice ^= dice << 5;
            dice % n
        };
        // Each message as pieces, then all mixed: those of one message keep their order at the sender.
        let mut waiting: Vec<VecDeque<Cut>> = Vec::new();
        let mut expected = Vec::new();
        for stream in 0..3_u16 {
            for unordered in [false, true] {
                let mut queue = VecDeque::new();
                for sequence in 0..4 {
                    let count = roll(5) + 1;
                    let mut whole = Vec::new();
                    for fsn in 0..count {
                        let part = vec![roll(256) as u8; roll(40) as usize + 1];
                        whole.extend_from_slice(&part);
                        let flags = if fsn == 0 { BEGINNING } else { 0 } | if fsn + 1 == count { ENDING } else { 0 };
                        let unordered_flag = if unordered { UNORDERED } else { 0 };
                        queue.push_back((stream, sequence, fsn, flags | unordered_flag, part));
                    }
                    expected.push((stream, whole));
                }
                waiting.push(queue);
            }
        }
        let mut pieces = Vec::new();
        while !waiting.is_empty() {
            let index = roll(waiting.len() as u32) as usize;
            pieces.extend(waiting[index].pop_front().map(|piece| (pieces.len() as u32, piece)));
            waiting.retain(|queue| !queue.is_empty());
        }
        let count = pieces.len() as u32;
        // Some late, some twice.
        for index in 0..pieces.len() {
            if roll(3) == 0 {
                let other = (index + roll(20) as usize).min(pieces.len() - 1);
                pieces.swap(index, other);
            }
        }
        let mut receive = with_interleaving();
        let mut got = Vec::new();
        for (tsn, (stream, sequence, fsn, flags, part)) in &pieces {
            for _ in 0..=roll(2) {
                receive.data(interleaved(*tsn, *stream, *sequence, *fsn, *flags, part));
            }
            while let Some(message) = receive.poll_ready() {
                assert_eq!(message.ppid, 53);
                receive.release(message.data.len());
                got.push((message.stream, message.data.to_vec()));
            }
        }
        assert_eq!(receive.cumulative(), count - 1);
        assert_eq!(receive.held(), 0, "seed {seed}");
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "seed {seed}");
    }
}

#[test]
fn what_the_peer_gives_up_is_forgotten_wherever_it_is() {
    let mut receive = with_interleaving();
    receive.data(interleaved(0, 1, 0, 0, BEGINNING, b"a"));
    receive.data(interleaved(1, 2, 0, 0, BEGINNING, b"b"));
    receive.data(interleaved(2, 2, 0, 0, BEGINNING | UNORDERED, b"c"));
    receive.data(interleaved(4, 1, 1, 0, MESSAGE, b"next"));
    assert!(receive.held() > 0 && ready(&mut receive).is_empty());
    let skipped = [(1, false, 0), (2, false, 0), (2, true, 0)];
    let skipped = skipped.map(|(stream, unordered, sequence)| Skipped { stream, unordered, sequence });
    let mut value = [0; 4 + 24];
    crate::packet::forward_tsn::write(Format::Interleaved, &mut value, 3, &skipped);
    receive.forward_tsn(ForwardTsn::parse_interleaved(&value).unwrap());
    assert_eq!((receive.cumulative(), receive.counts.dropped), (4, 3));
    let message = receive.poll_ready().unwrap();
    receive.release(message.data.len());
    assert_eq!((&message.data[..], receive.held()), (&b"next"[..], 0));
}

/// The sender's ack point passes over what arrived, too: here over the beginning of a message that is not given up.
#[test]
fn a_message_that_goes_on_behind_what_was_given_up_is_kept() {
    let mut receive = receive(0);
    receive.data(data(1, 1, BEGINNING, b"be"));
    receive.data(data(2, 1, 0, b"gin"));
    let skipped = [Skipped { stream: 0, unordered: false, sequence: 0 }];
    let mut value = [0; 8];
    crate::packet::forward_tsn::write(Format::Data, &mut value, 2, &skipped);
    receive.forward_tsn(ForwardTsn::parse(&value).unwrap());
    receive.data(data(3, 1, ENDING, b"end"));
    assert_eq!(ready(&mut receive), [b"beginend"]);
    // And one with a hole is not.
    receive.data(data(5, 2, BEGINNING, b"be"));
    crate::packet::forward_tsn::write(Format::Data, &mut value, 6, &[Skipped { sequence: 2, ..skipped[0] }]);
    receive.forward_tsn(ForwardTsn::parse(&value).unwrap());
    receive.data(data(7, 3, ENDING, b"end"));
    assert!(ready(&mut receive).is_empty());
    assert_eq!((receive.cumulative(), receive.held()), (7, b"beginend".len() + HELD_OVERHEAD));
}

#[test]
fn mixed_messages_are_bounded_too() {
    let mut receive = Receive::new(0, Format::Interleaved, 1 << 20, 1000, Duration::from_millis(20));
    // Of a message that is longer than agreed nothing is left; a million beginnings cost no more than the window.
    for fsn in 0..3 {
        receive.data(interleaved(fsn, 9, 0, fsn, if fsn == 0 { BEGINNING } else { 0 }, &[7; 400]));
    }
    assert_eq!((receive.poll_oversized(), receive.held()), (Some(9), 0));
    for n in 3..100_000 {
        receive.data(interleaved(n, n as u16, n, 0, BEGINNING, b"x"));
    }
    assert!(receive.held() <= 2 << 20, "{}", receive.held());
    receive.reset_all();
    assert_eq!(receive.held(), 0);
}

#[test]
fn an_ordered_message_waits_for_its_stream_only() {
    let mut receive = receive(0);
    receive.data(data(1, 1, MESSAGE, b"second"));
    receive.data(Data { stream: 7, ..data(2, 0, MESSAGE, b"elsewhere") });
    assert_eq!(ready(&mut receive), [b"elsewhere"]);
    receive.data(data(0, 0, MESSAGE, b"first"));
    assert_eq!(ready(&mut receive), [&b"first"[..], b"second"]);
}

#[test]
fn a_piece_of_another_message_is_not_taken() {
    let mut receive = receive(0);
    receive.data(data(0, 0, BEGINNING, b"one"));
    receive.data(data(1, 1, ENDING, b"two"));
    receive.data(data(2, 0, MESSAGE, b"three"));
    assert_eq!(ready(&mut receive), [b"three"]);
    assert_eq!(receive.counts.dropped, 1);
}

#[test]
fn a_message_that_is_too_long_is_told() {
    let mut receive = Receive::new(0, Format::Data, 1 << 20, 10, Duration::ZERO);
    receive.data(data(0, 0, BEGINNING, b"123456"));
    receive.data(data(1, 0, 0, b"123456"));
    receive.data(data(2, 0, ENDING, b"123456"));
    assert_eq!(receive.poll_oversized(), Some(0));
    assert_eq!(receive.held(), 0);
}

#[test]
fn what_is_given_up_is_skipped() {
    let mut receive = receive(0);
    receive.data(data(0, 0, BEGINNING, b"begun"));
    receive.data(data(3, 2, MESSAGE, b"third"));
    let mut value = [0; 8];
    let skipped = [Skipped { stream: 0, unordered: false, sequence: 1 }];
    crate::packet::forward_tsn::write(Format::Data, &mut value, 2, &skipped);
    receive.forward_tsn(ForwardTsn::parse(&value).unwrap());
    assert_eq!(receive.cumulative(), 3);
    assert_eq!(ready(&mut receive), [b"third"]);
    assert_eq!(receive.held(), 5 + HELD_OVERHEAD);
}

#[test]
fn holes_and_tiny_pieces_stay_within_the_window() {
    let mut receive = receive(0);
    for tsn in 0..200_000_u32 {
        receive.data(data(tsn.wrapping_mul(2).wrapping_add(1), 0, 0, b"x"));
        assert!(receive.held() <= 2 << 20);
        assert!(receive.runs.len() <= MAX_RUNS && receive.early.len() <= MAX_AHEAD);
    }
    // Messages that will never be in order.
    for tsn in 0..200_000_u32 {
        receive.data(data(tsn, 5, MESSAGE, b"x"));
        assert!(receive.held() <= 2 << 20);
    }
}

proptest! {
    /// Any order, any duplicates, wherever TSN and SSN wrap: each message once, in order, and nothing held in the end.
    #[test]
    fn every_order_is_put_right(initial: u32, lengths in prop::collection::vec(1..40_usize, 1..40), shuffle in prop::collection::vec(any::<u16>(), 200), piece in 1..9_usize, unordered: bool) {
        let messages: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, &len)| vec![n as u8; len]).collect();
        let mut pieces = Vec::new();
        let mut tsn = initial;
        for (n, message) in messages.iter().enumerate() {
            let count = message.chunks(piece).count();
            for (k, part) in message.chunks(piece).enumerate() {
                let flags = if k == 0 { BEGINNING } else { 0 } | if k + 1 == count { ENDING } else { 0 } | if unordered { UNORDERED } else { 0 };
                pieces.push(Data { flags, tsn, stream: 3, sequence: n as u32 & 0xffff, fsn: 0, ppid: 53, payload: part });
                tsn = tsn.wrapping_add(1);
            }
        }
        let mut order: Vec<usize> = (0..pieces.len()).chain(shuffle.iter().map(|&n| usize::from(n) % pieces.len())).collect();
        for (n, &k) in shuffle.iter().enumerate() {
            let len = order.len();
            order.swap(n % len, usize::from(k) % len);
        }
        let mut receive = receive(initial);
        let mut got = Vec::new();
        for index in order {
            receive.data(pieces[index]);
            while let Some(message) = receive.poll_ready() {
                receive.release(message.data.len());
                got.push(message.data.to_vec());
            }
        }
        if unordered {
            got.sort();
            let mut messages = messages.clone();
            messages.sort();
            prop_assert_eq!(got, messages);
        } else {
            prop_assert_eq!(got, messages);
        }
        prop_assert_eq!(receive.held(), 0);
        prop_assert_eq!(receive.cumulative(), tsn.wrapping_sub(1));
        prop_assert!(receive.runs.is_empty());
    }
}
