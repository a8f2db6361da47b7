//! Packets of audio and video that wait for who reads them. Media is of no use when it is late: beyond a bound the oldest go first, those
//! of a transceiver that nobody reads among them, so that it costs the others nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;
use wigwag::{PeerConnection, RtpIn, TransceiverId};

/// Packets that wait on one transceiver: half a second of a large video.
const MAX_PACKETS: usize = 1024;
/// Packets that wait on all transceivers of a connection,
const MAX_ALL_PACKETS: usize = 8192;
/// and bytes of payload: a second at 64 Mbit/s.
const MAX_BYTES: usize = 8 << 20;

/// What waits on one transceiver.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Each with its number among all of the connection.
    packets: VecDeque<(u64, RtpIn)>,
    pub wants_key_frame: bool,
    pub changed: Arc<Notify>,
}

/// The lines of one connection.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    all: HashMap<TransceiverId, Line>,
    /// Which line has the packet of a number, in order; some were read already.
    order: VecDeque<(u64, TransceiverId)>,
    next: u64,
    packets: usize,
    bytes: usize,
}

impl Lines {
    /// The line of a transceiver that is there.
    pub fn line(&mut self, id: TransceiverId) -> &mut Line {
        self.all.entry(id).or_default()
    }

    /// A packet arrived.
    pub fn put(&mut self, id: TransceiverId, packet: RtpIn, connection: &PeerConnection) {
        // What arrived just before its transceiver was stopped is nobody's.
        if !self.all.contains_key(&id) && is_stopped(connection, id) {
            return;
        }
        if self.line(id).packets.len() >= MAX_PACKETS {
            self.take(id);
        }
        let number = self.next;
        self.next += 1;
        self.packets += 1;
        self.bytes += packet.payload.len();
        self.order.push_back((number, id));
        let line = self.line(id);
        line.packets.push_back((number, packet));
        line.changed.notify_waiters();
        while self.packets > MAX_ALL_PACKETS || self.bytes > MAX_BYTES && self.packets > 1 {
            self.drop_oldest();
        }
        if self.order.len() > 2 * MAX_ALL_PACKETS {
            self.order.retain(|(number, id)| is_there(&self.all, *number, *id));
        }
    }

    /// The next packet of a line.
    pub fn take(&mut self, id: TransceiverId) -> Option<RtpIn> {
        let (_, packet) = self.all.get_mut(&id)?.packets.pop_front()?;
        self.packets -= 1;
        self.bytes -= packet.payload.len();
        Some(packet)
    }

    fn drop_oldest(&mut self) {
        while let Some((number, id)) = self.order.pop_front() {
            if is_there(&self.all, number, id) {
                self.take(id);
                return;
            }
        }
    }

    /// Whoever waits is to look again.
    pub fn notify(&self) {
        self.all.values().for_each(|line| line.changed.notify_waiters());
    }

    /// Forgets this line if its transceiver was stopped; whoever waits there is told.
    pub fn forget_if_stopped(&mut self, id: TransceiverId, connection: &PeerConnection) {
        if !is_stopped(connection, id) {
            return;
        }
        while self.take(id).is_some() {}
        if let Some(line) = self.all.remove(&id) {
            line.changed.notify_waiters();
        }
    }

    /// Forgets all lines whose transceivers were stopped.
    pub fn forget_stopped(&mut self, connection: &PeerConnection) {
        let ids: Vec<_> = self.all.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget_if_stopped(id, connection));
    }

    /// Nobody is left to read.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether a packet was not read yet. Within a line they are read in order.
fn is_there(all: &HashMap<TransceiverId, Line>, number: u64, id: TransceiverId) -> bool {
    all.get(&id).and_then(|line| line.packets.front()).is_some_and(|(first, _)| *first <= number)
}

pub(crate) fn is_stopped(connection: &PeerConnection, id: TransceiverId) -> bool {
    connection.transceiver(id).is_none_or(|it| it.is_stopped)
}

#[cfg(test)]
mod tests {
    use wigwag::rtp::{PayloadType, RtpTimestamp, Ssrc};
    use wigwag::{Config, Instant, MediaKind, PacketExtensions, TransceiverInit};

    use super::*;

    fn packet(n: u64, len: usize) -> RtpIn {
        RtpIn {
            marker: false,
            payload_type: PayloadType::PCMU,
            sequence_number: n,
            timestamp: RtpTimestamp(0),
            ssrc: Ssrc(1),
            rid: None,
            arrival: Instant(0),
            recovered: false,
            extensions: PacketExtensions::default(),
            payload: vec![0; len].into(),
        }
    }

    fn connection(lines: usize) -> (PeerConnection, Vec<TransceiverId>) {
        let mut connection = PeerConnection::new(Config::new([1; 32])).unwrap();
        let add = |_| connection.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
        let ids = (0..lines).map(add).collect();
        (connection, ids)
    }

    #[test]
    fn a_line_that_is_not_read_is_bounded_and_takes_nothing_from_the_others() {
        let (connection, ids) = connection(100);
        let mut lines = Lines::default();
        for n in 0..2000 {
            ids.iter().skip(1).for_each(|id| lines.put(*id, packet(n, 100), &connection));
            lines.put(ids[0], packet(n, 100), &connection);
            assert_eq!(lines.take(ids[0]).unwrap().sequence_number, n);
        }
        assert!(lines.packets <= MAX_ALL_PACKETS && lines.order.len() <= 2 * MAX_ALL_PACKETS);
        let newest = std::iter::from_fn(|| lines.take(ids[7])).last().unwrap();
        assert_eq!(newest.sequence_number, 1999);
        ids.iter().for_each(|id| while lines.take(*id).is_some() {});
        assert_eq!((lines.packets, lines.bytes), (0, 0));
    }

    #[test]
    fn bytes_count_too() {
        let (connection, ids) = connection(2);
        let mut lines = Lines::default();
        for n in 0..20 {
            ids.iter().for_each(|id| lines.put(*id, packet(n, 1 << 20), &connection));
        }
        assert!(lines.bytes <= MAX_BYTES);
        assert_eq!(lines.take(ids[0]).unwrap().sequence_number, 16);
        lines.put(ids[0], packet(20, 2 * MAX_BYTES), &connection);
        assert_eq!(lines.packets, 1, "one is always taken");
    }

    #[test]
    fn stopped_lines_are_forgotten() {
        let (mut connection, ids) = connection(2);
        let mut lines = Lines::default();
        ids.iter().for_each(|id| lines.put(*id, packet(0, 10), &connection));
        connection.stop_transceiver(ids[0]).unwrap();
        lines.forget_stopped(&connection);
        lines.put(ids[0], packet(1, 10), &connection);
        assert_eq!((lines.all.len(), lines.packets, lines.bytes), (1, 1, 10));
    }
}
