//! A datagram's way in.

use super::{ALERT_PATIENCE, Deliver, Known, Session, Turn};
use crate::alert::*;
use crate::config::Version;
use crate::event::Failure;
use crate::handshake::{Core, State, Taken};
use crate::queues::Queues;
use crate::record::{
    ACK, ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Header, Opened, RecordNumber, first_record,
};
use crate::wire::codec::Reader;
use crate::wire::message::{Fragment, parse_ack};
use wigwag_proto::Instant;

/// Records that are kept until there are keys for them: the rest of a flight whose beginning was overtaken, and the
/// first data.
const MAX_EARLY: usize = 16;
/// And their bytes.
const MAX_EARLY_BYTES: usize = 20 * 1024;
/// Records that are acknowledged at once: so many fit the smallest MTU.
const MAX_ACKNOWLEDGED: usize = 12;

impl Session {
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        known: Known<'_>,
        queues: &mut Queues,
        mut deliver: Deliver<'_>,
    ) -> Result<Turn, Failure> {
        self.now = self.now.max(now);
        let mut rest = datagram;
        while !rest.is_empty() {
            let Some((header, len)) = first_record(rest) else {
                queues.stats.screened += 1;
                break;
            };
            let Some((record, behind)) = std::mem::take(&mut rest).split_at_mut_checked(len) else {
                break;
            };
            rest = behind;
            if self.record(header, record, known, queues, &mut deliver)? == Turn::Closed {
                return Ok(Turn::Closed);
            }
        }
        while !self.early.is_empty() && self.early_since != self.readable() {
            for mut record in std::mem::take(&mut self.early) {
                if let Some((header, _)) = first_record(&record)
                    && self.record(header, &mut record, known, queues, &mut deliver)? == Turn::Closed
                {
                    return Ok(Turn::Closed);
                }
            }
        }
        self.follow_up(queues);
        Ok(Turn::Goes)
    }

    fn readable(&self) -> (u64, bool) {
        (self.core.records.read_epoch(), self.is_established())
    }

    /// One record.
    fn record(
        &mut self,
        header: Header,
        record: &mut [u8],
        known: Known<'_>,
        queues: &mut Queues,
        deliver: &mut Deliver<'_>,
    ) -> Result<Turn, Failure> {
        // In DTLS 1.2 data comes in the epoch of Finished, and may overtake it.
        if let Header::Dtls12 { content_type: APPLICATION_DATA, .. } = header
            && !self.is_established()
        {
            self.keep(header, record, queues);
            return Ok(Turn::Goes);
        }
        if !self.is_of_version(header) {
            queues.stats.screened += 1;
            return Ok(Turn::Goes);
        }
        match self.core.records.open(header, record) {
            Opened::Protected { content_type: APPLICATION_DATA, number, body } => {
                // Epoch 2 of DTLS 1.3 is for the handshake only.
                if !self.state.is_connected() || number.epoch == 2 {
                    queues.stats.screened += 1;
                    return Ok(Turn::Goes);
                }
                match deliver {
                    Some(deliver) if self.connected.is_some() && queues.held.is_empty() => {
                        queues.stats.payloads_received += 1;
                        deliver(body);
                    }
                    _ => queues.hold(body),
                }
            }
            Opened::Protected { content_type: HANDSHAKE, number, body } => {
                self.handshake(number, body, queues);
                self.advance(known, queues)?;
            }
            Opened::Protected { content_type: ALERT, body, .. } => return self.alert(body, queues),
            Opened::Protected { content_type: ACK, body, .. } => self.acknowledged(body, queues)?,
            Opened::Plain { content_type: HANDSHAKE, number, body } if !self.state.is_connected() => {
                self.handshake(number, body, queues);
                self.advance(known, queues)?;
            }
            Opened::Plain { content_type: CHANGE_CIPHER_SPEC, .. } => {}
            Opened::Plain { content_type: ALERT, body: &mut [FATAL, description], .. } => {
                queues.stats.screened += 1;
                if !self.state.is_connected() {
                    self.alert.get_or_insert((description, self.now + ALERT_PATIENCE));
                }
            }
            Opened::Early => self.keep(header, record, queues),
            Opened::Refused => queues.stats.refused += 1,
            Opened::Plain { .. } | Opened::Protected { .. } => queues.stats.screened += 1,
        }
        Ok(Turn::Goes)
    }

    /// Whether a record has the shape of the version that was negotiated, or of one that may yet be.
    fn is_of_version(&self, header: Header) -> bool {
        match header {
            Header::Plain { .. } => true,
            Header::Dtls12 { .. } => self.core.version != Some(Version::Dtls13),
            Header::Dtls13 { .. } => self.core.version != Some(Version::Dtls12),
        }
    }

    /// Keeps a record that there may be keys for, soon.
    fn keep(&mut self, header: Header, record: &[u8], queues: &mut Queues) {
        let bytes: usize = self.early.iter().map(Vec::len).sum();
        if self.is_established()
            || !self.is_of_version(header)
            || self.early.len() == MAX_EARLY
            || bytes + record.len() > MAX_EARLY_BYTES
        {
            queues.stats.refused += 1;
            return;
        }
        if self.early.is_empty() {
            self.early_since = self.readable();
        }
        self.early.push(record.to_vec());
    }

    /// Fragments of handshake messages.
    fn handshake(&mut self, number: RecordNumber, body: &[u8], queues: &mut Queues) {
        let mut reader = Reader(body);
        let mut useful = false;
        while !reader.is_empty() {
            let Some(fragment) = Fragment::parse(&mut reader) else {
                queues.stats.screened += 1;
                break;
            };
            let is_over = matches!(self.state, State::Connected12) && fragment.seq >= self.reassembly.next();
            let taken = if is_over { Taken::Refused } else { self.reassembly.take(number.epoch, &fragment) };
            match taken {
                Taken::Kept => useful = true,
                // The end of the flight that ours answers: so the peer does not have ours.
                Taken::Old => {
                    useful = true;
                    self.repeated |= fragment.seq.checked_add(1) == Some(self.reassembly.next());
                }
                Taken::Refused => queues.stats.screened += 1,
            }
        }
        // What comes before the version is known is the beginning of a flight, too.
        if useful && self.to_acknowledge.len() < MAX_ACKNOWLEDGED {
            self.to_acknowledge.push(number);
        }
    }

    /// What is due after a datagram.
    fn follow_up(&mut self, queues: &mut Queues) {
        if std::mem::take(&mut self.repeated) {
            let Core { flight, records, .. } = &mut self.core;
            flight.repeat(self.now, records, |datagram| queues.send(datagram));
        }
        if self.core.version == Some(Version::Dtls12) {
            self.to_acknowledge.clear();
        }
        if !self.to_acknowledge.is_empty() {
            if self.is_established() {
                // Our last flight, while it is on its way, is the answer to the server's.
                if self.awaits_acknowledgement() {
                    self.to_acknowledge.retain(|number| number.epoch > 2);
                }
                self.acknowledge(queues);
            } else {
                // RFC 9147 section 7.1: "if it has received part of a flight and not the rest" after a quarter of the
                // timer's time.
                let at = self.now + self.retransmission_timeout / 4;
                self.acknowledge_at.get_or_insert(at.max(Instant(self.now.0.saturating_add(1))));
            }
        }
        if self.core.update_wanted {
            self.update_keys(queues);
        }
    }

    /// The peer has these records. RFC 9147 section 7.2.
    fn acknowledged(&mut self, body: &[u8], queues: &mut Queues) -> Result<(), Failure> {
        let is_13 = self.core.version == Some(Version::Dtls13);
        let Some(numbers) = parse_ack(body).filter(|_| is_13) else {
            queues.stats.screened += 1;
            return Ok(());
        };
        let mut news = false;
        for number in numbers {
            news |= self.core.flight.acknowledge(number);
        }
        if !news {
            return Ok(());
        }
        let Core { flight, records, .. } = &mut self.core;
        if !flight.is_acknowledged() {
            flight.repeat(self.now, records, |datagram| queues.send(datagram));
        } else if !self.state.is_connected() {
            flight.stop_timer();
        } else {
            flight.clear();
            records.forget_old_writes();
            self.handshake_deadline = None;
            if std::mem::take(&mut self.core.updating) {
                let updated = self.core.records.update_write(self.core.provider);
                updated.map_err(|_| internal().failure)?;
            }
        }
        Ok(())
    }

    /// An alert that is the peer's. RFC 8446 section 6, RFC 5246 section 7.2.
    fn alert(&mut self, body: &[u8], queues: &mut Queues) -> Result<Turn, Failure> {
        let &[level, description] = body else {
            queues.stats.screened += 1;
            return Ok(Turn::Goes);
        };
        match description {
            CLOSE_NOTIFY if self.is_established() => {
                // Both versions: answer in kind. RFC 5246 section 7.2.1.
                self.say_goodbye(queues);
                Ok(Turn::Closed)
            }
            USER_CANCELED => Ok(Turn::Goes),
            _ if level == WARNING && self.core.version == Some(Version::Dtls12) => Ok(Turn::Goes),
            _ => Err(Failure::Alert(description)),
        }
    }
}
