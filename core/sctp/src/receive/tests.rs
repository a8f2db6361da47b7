use super::*;
use proptest::prelude::*;

const MESSAGE: u8 = BEGINNING | ENDING;

fn receive(initial_tsn: u32) -> Receive {
    Receive::new(initial_tsn, 1 << 20, 256 << 10, Duration::from_millis(20))
}

fn data(tsn: u32, ssn: u16, flags: u8, payload: &[u8]) -> Data<'_> {
    Data { flags, tsn, stream: 0, ssn, ppid: 53, payload }
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
    let mut receive = Receive::new(0, 1 << 20, 10, Duration::ZERO);
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
    crate::packet::forward_tsn::write(&mut value, 2, &[(0, 1)]);
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
                pieces.push(Data { flags, tsn, stream: 3, ssn: n as u16, ppid: 53, payload: part });
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
