//! How much of a link is used: a rate, a queue that drops at its end, and loss.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Ends, link, pair_with};
use wigwag_net::Link;
use wigwag_sctp::{Config, Event, PayloadKind};

/// The share of the link that `seconds` of one transfer use.
fn share(megabits: u64, delay: Duration, queue: usize, loss: f64, seconds: u64) -> f64 {
    let rate = megabits * 1_000_000;
    // One channel: there is nothing to interleave, and what is counted is the messages' bytes.
    let config = Config { receive_window: 8 << 20, interleaving: false, ..Config::default() };
    let link = Link { delay, rate: Some(rate), queue, loss, ..link() };
    let mut pair = pair_with(link, 1, config.clone(), config);
    pair.connect();
    let channel = pair.end_mut(0).open("bulk");
    let message = Bytes::from(vec![0; 65_536]);
    let start = pair.now();
    let mut received = 0;
    pair.until(Duration::from_secs(seconds + 60), |pair| {
        while pair.end_mut(0).send(channel, PayloadKind::Binary, message.clone()).is_ok() {}
        for event in pair.end_mut(1).events.drain(..) {
            if let Event::Message { data, .. } = event {
                received += data.len();
            }
        }
        pair.end_mut(0).events.clear();
        pair.now() - start >= Duration::from_secs(seconds)
    });
    received as f64 * 8.0 / (rate * seconds) as f64
}

#[test]
fn the_link_is_used() {
    let ms = Duration::from_millis;
    for (megabits, delay, queue, least) in [
        (100, ms(25), 625_000, 0.85),
        (100, ms(50), 1_250_000, 0.75),
        (10, ms(25), 62_500, 0.85),
        (10, ms(25), 15_000, 0.7),
        (10, ms(5), 1_000_000, 0.9),
        (1000, ms(1), 125_000, 0.9),
        (1, ms(100), 25_000, 0.8),
    ] {
        let share = share(megabits, delay, queue, 0.0, if megabits == 1000 { 2 } else { 20 });
        println!("{megabits} Mbit/s, {delay:?} one way, queue of {queue}: {:.0} %", share * 100.0);
        assert!(share > least, "{megabits} Mbit/s, {delay:?}, {queue}: {share}");
    }
    // Reno's bound: 1.22 MSS / (RTT sqrt(p)) is 2.3 Mbit/s here.
    let share = share(100, ms(25), 625_000, 0.01, 20);
    println!("100 Mbit/s, 25 ms one way, 1 % loss: {:.1} %", share * 100.0);
    assert!(share > 0.015);
}
