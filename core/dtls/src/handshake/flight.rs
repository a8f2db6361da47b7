//! What we said last, until the peer has it. RFC 9147 section 5.8, RFC 6347 section 4.2.4.
//!
//! A flight is cut into fragments once, so that each fits a datagram with others. It is sent, and sent again when its
//! timer runs out (twice as long each time) or when the peer repeats itself, until the peer's next flight says that it
//! came, or, in DTLS 1.3, until every fragment is acknowledged. Acknowledged fragments are not sent again.

use std::time::Duration;

use wigwag_proto::Instant;

use crate::record::{RecordNumber, Records};
use crate::wire::message::{HEADER, header};

/// The timer doubles up to this. RFC 9147 section 5.8.2.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// A part of a message shorter than this waits for the next datagram.
const MIN_PART: usize = 64;
/// Records that one fragment was sent in, and whose acknowledgement counts.
const MAX_NUMBERS: usize = 16;

#[derive(Debug)]
struct Part {
    epoch: u64,
    content_type: u8,
    payload: Vec<u8>,
    numbers: Vec<RecordNumber>,
    acknowledged: bool,
}

#[derive(Debug)]
pub(crate) struct Flight {
    parts: Vec<Part>,
    mtu: usize,
    /// What is left of the datagram that the next part goes into.
    room: usize,
    initial_timeout: Duration,
    timeout: Duration,
    deadline: Option<Instant>,
    sent: Option<Instant>,
}

impl Flight {
    pub(crate) fn new(mtu: usize, initial_timeout: Duration) -> Self {
        let timeout = initial_timeout;
        Self { parts: Vec::new(), mtu, room: mtu, initial_timeout, timeout, deadline: None, sent: None }
    }

    /// Flights that are not sent yet wait this long before they are sent again.
    pub(crate) fn set_initial_timeout(&mut self, timeout: Duration) {
        self.initial_timeout = timeout;
        if self.sent.is_none() {
            self.timeout = timeout;
        }
    }

    /// When to send it again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// There is something to say that has not been sent yet.
    pub(crate) fn is_unsent(&self) -> bool {
        !self.parts.is_empty() && self.sent.is_none()
    }

    /// Forgets what was said: the peer has it.
    pub(crate) fn clear(&mut self) {
        self.parts = Vec::new(); // there may be none for hours
        (self.room, self.timeout) = (self.mtu, self.initial_timeout);
        (self.deadline, self.sent) = (None, None);
    }

    /// Adds a message, cut so that its parts fit.
    pub(crate) fn add_message(
        &mut self,
        records: &Records,
        epoch: u64,
        content_type: u8,
        kind: u8,
        seq: u16,
        body: &[u8],
    ) {
        let overhead = records.overhead(epoch) + HEADER;
        let mut offset = 0;
        loop {
            let left = body.len() - offset;
            if self.room < overhead + left.min(MIN_PART) {
                self.room = self.mtu;
            }
            let len = left.min(self.room.saturating_sub(overhead).max(1));
            let part = body.get(offset..offset + len).unwrap_or_default();
            let payload = [&header(kind, body.len(), seq, offset, len)[..], part].concat();
            self.room = self.room.saturating_sub(overhead + len);
            self.parts.push(Part { epoch, content_type, payload, numbers: Vec::new(), acknowledged: false });
            offset += len;
            if offset >= body.len() {
                return;
            }
        }
    }

    /// Adds a record that is no handshake message: ChangeCipherSpec.
    pub(crate) fn add_record(&mut self, records: &Records, content_type: u8, payload: &[u8]) {
        let len = records.overhead(0) + payload.len();
        if self.room < len {
            self.room = self.mtu;
        }
        self.room -= len;
        let payload = payload.to_vec();
        self.parts.push(Part { epoch: 0, content_type, payload, numbers: Vec::new(), acknowledged: false });
    }

    /// Sends what is not acknowledged. With `timer`, it will be sent again.
    pub(crate) fn transmit(&mut self, now: Instant, records: &mut Records, timer: bool, mut send: impl FnMut(&[u8])) {
        let mut datagram = Vec::with_capacity(self.mtu);
        for part in self.parts.iter_mut().filter(|part| !part.acknowledged) {
            let len = records.overhead(part.epoch) + part.payload.len();
            if !datagram.is_empty() && datagram.len() + len > self.mtu {
                send(&datagram);
                datagram.clear();
            }
            if let Some(number) = records.append(part.epoch, part.content_type, &part.payload, &mut datagram) {
                if part.numbers.len() == MAX_NUMBERS {
                    part.numbers.remove(0);
                }
                part.numbers.push(number);
            }
        }
        if !datagram.is_empty() {
            send(&datagram);
        }
        self.sent = Some(now);
        self.deadline = timer.then(|| now + self.timeout);
    }

    /// The timer ran out: sends again, and waits twice as long.
    pub(crate) fn expire(&mut self, now: Instant, records: &mut Records, send: impl FnMut(&[u8])) {
        self.timeout = (self.timeout * 2).min(MAX_TIMEOUT);
        self.transmit(now, records, true, send);
    }

    /// The peer repeats itself, so it lacks something: sends again, unless that was done just now.
    pub(crate) fn repeat(&mut self, now: Instant, records: &mut Records, send: impl FnMut(&[u8])) {
        let lately = self.sent.is_some_and(|sent| now - sent < self.initial_timeout / 4);
        if !self.is_empty() && !lately {
            let timer = self.deadline.is_some();
            self.transmit(now, records, timer, send);
        }
    }

    /// The peer has this record; whether that is news.
    pub(crate) fn acknowledge(&mut self, number: RecordNumber) -> bool {
        let part = self.parts.iter_mut().find(|part| !part.acknowledged && part.numbers.contains(&number));
        part.map(|part| part.acknowledged = true).is_some()
    }

    /// Whether the peer has all of it.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.parts.iter().all(|part| part.acknowledged)
    }

    /// The messages in it, with their headers, if each is in one part.
    #[cfg(test)]
    pub(super) fn handshake_payloads(&self) -> Vec<(u64, Vec<u8>)> {
        let messages = self.parts.iter().filter(|part| part.content_type == crate::record::HANDSHAKE);
        messages.map(|part| (part.epoch, part.payload.clone())).collect()
    }

    /// There is no need to send it again before the peer asks for it.
    pub(crate) fn stop_timer(&mut self) {
        self.deadline = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::HANDSHAKE;

    #[test]
    fn datagrams_are_full_and_not_too_long() {
        for mtu in [256, 300, 1200] {
            let mut records = Records::default();
            let mut flight = Flight::new(mtu, Duration::from_millis(100));
            for (seq, len) in [0, 1, 70, 900, 64, 5_000].into_iter().enumerate() {
                flight.add_message(&records, 0, HANDSHAKE, 11, seq as u16, &vec![7; len]);
            }
            flight.add_record(&records, 20, &[1]);
            let mut sent = Vec::new();
            flight.transmit(Instant(5), &mut records, true, |datagram| sent.push(datagram.to_vec()));
            assert!(sent.iter().all(|datagram| datagram.len() <= mtu));
            let least = (6_035 + 25 * flight.parts.len()) / mtu;
            assert!(sent.len() <= least + 2, "{} {least}", sent.len());
            assert_eq!(flight.deadline(), Some(Instant(100_005)));
            flight.repeat(Instant(6), &mut records, |_| panic!("just sent"));
            let mut count = 0;
            flight.expire(Instant(100_005), &mut records, |_| count += 1);
            assert_eq!((count, flight.deadline()), (sent.len(), Some(Instant(300_005))));
        }
    }

    #[test]
    fn what_is_acknowledged_is_not_sent_again() {
        let mut records = Records::default();
        let mut flight = Flight::new(300, Duration::from_millis(100));
        flight.add_message(&records, 0, HANDSHAKE, 1, 0, &[7; 1000]);
        let mut sent = 0;
        flight.transmit(Instant(5), &mut records, true, |_| sent += 1);
        let first = RecordNumber { epoch: 0, sequence: 0 };
        assert!(flight.acknowledge(first) && !flight.acknowledge(first));
        let mut again = 0;
        flight.expire(Instant(9), &mut records, |_| again += 1);
        assert_eq!(again, sent - 1);
        (1..20).for_each(|sequence| {
            flight.acknowledge(RecordNumber { epoch: 0, sequence });
        });
        assert!(flight.is_acknowledged());
    }
}
