//! One source that is sent.

use std::time::Duration;

use rand::Rng;
use wigwag_proto::{Instant, Random, Serial};
use wigwag_rtp::rtcp::{ReportBlock, SenderInfo};
use wigwag_rtp::{NtpTimestamp, RtpTimestamp, SequenceNumber, Ssrc};

use crate::config::Send as SendConfig;
use crate::history::History;
use crate::reception::ticks;
use crate::{OutboundStats, RtpOut};

/// Sender reports after the last packet.
const REPORTS_AFTER_THE_LAST: u8 = 2;
/// Sender reports that an answer may come for: four seconds of them.
const REPORTS_KEPT: usize = 4;

#[derive(Debug)]
pub(crate) struct Outbound {
    pub ssrc: Ssrc,
    pub rtx: Option<Ssrc>,
    pub cname: String,
    pub history: History,
    pub stats: OutboundStats,
    /// Of the next retransmission.
    rtx_number: SequenceNumber,
    /// The newest packet that was given to us: number, timestamp, when, and its clock rate.
    newest: Option<(SequenceNumber, RtpTimestamp, Instant, u32)>,
    /// The middle of the NTP times of sender reports, and when they were sent.
    reports: [Option<(u32, Instant)>; REPORTS_KEPT],
    /// Reports that are still to be sent.
    pub reports_left: u8,
    /// The last FIR: by whom, and its number.
    last_fir: Option<(Ssrc, u8)>,
}

impl Outbound {
    pub fn new(send: &SendConfig, history: usize, random: &mut Random) -> Self {
        Self {
            ssrc: send.ssrc,
            rtx: send.rtx,
            cname: cut(&send.cname).to_owned(),
            history: History::new(history),
            stats: OutboundStats::default(),
            // RFC 3550 section 5.1: a random beginning.
            rtx_number: SequenceNumber(random.next_u32() as u16),
            newest: None,
            reports: [None; REPORTS_KEPT],
            reports_left: 0,
            last_fir: None,
        }
    }

    /// The configuration changed, the source stays.
    pub fn set(&mut self, send: &SendConfig) {
        self.rtx = send.rtx;
        cut(&send.cname).clone_into(&mut self.cname);
    }

    /// A packet was given to us.
    pub fn queued(&mut self, now: Instant, packet: &RtpOut, clock_rate: u32) {
        if self.newest.is_none_or(|(number, ..)| packet.sequence_number.is_after(number)) {
            self.newest = Some((packet.sequence_number, packet.timestamp, now, clock_rate));
        }
    }

    /// A packet was written.
    pub fn sent(&mut self, payload_len: usize) {
        self.stats.packets += 1;
        self.stats.bytes += payload_len as u64;
        self.reports_left = REPORTS_AFTER_THE_LAST;
    }

    /// A packet was written again. Its number in the RTX stream.
    pub fn sent_again(&mut self, payload_len: usize) {
        self.stats.retransmitted_packets += 1;
        self.stats.retransmitted_bytes += payload_len as u64;
    }

    /// The number of the next packet of the RTX stream.
    pub fn next_rtx_number(&mut self) -> SequenceNumber {
        let number = self.rtx_number;
        self.rtx_number = number.next();
        number
    }

    /// For a sender report: the timestamp goes on from the newest packet.
    pub fn sender_info(&self, now: Instant, ntp: NtpTimestamp) -> SenderInfo {
        let rtp = self.newest.map_or(RtpTimestamp(0), |(_, timestamp, at, clock_rate)| {
            let ticks = (now - at).as_micros() * u128::from(clock_rate) / 1_000_000;
            timestamp.plus(ticks as u32)
        });
        SenderInfo { ntp, rtp, packets: self.stats.packets as u32, octets: self.stats.bytes as u32 }
    }

    /// A sender report was written.
    pub fn reported(&mut self, now: Instant, ntp: NtpTimestamp) {
        self.reports.rotate_right(1);
        if let Some(newest) = self.reports.first_mut() {
            *newest = Some((ntp.middle(), now));
        }
    }

    /// The peer reports how it receives this. Gives the round trip, if this answers one of our reports: only then is it believed.
    /// RFC 3550 section 6.4.1.
    pub fn handle_report(&mut self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        let clock_rate = self.newest.map_or(0, |(.., clock_rate)| clock_rate);
        self.stats.remote_lost = i64::from(block.cumulative_lost);
        self.stats.remote_fraction_lost = block.fraction_lost;
        self.stats.remote_jitter = ticks(u64::from(block.jitter), clock_rate);
        let answered = |report: &&(u32, Instant)| block.last_sender_report != 0 && report.0 == block.last_sender_report;
        let (_, sent) = self.reports.iter().flatten().find(answered)?;
        let delay = Duration::from_micros((u64::from(block.delay_since_last) * 1_000_000) >> 16);
        let round_trip = (now - *sent).saturating_sub(delay);
        self.stats.round_trip_time = Some(round_trip);
        Some(round_trip)
    }

    /// Whether a FIR is a new request. RFC 5104 section 4.3.1.1: the same number is the same request again.
    pub fn is_new_fir(&mut self, sender: Ssrc, number: u8) -> bool {
        let is_new = self.last_fir != Some((sender, number));
        self.last_fir = Some((sender, number));
        is_new
    }
}

/// The longest beginning of at most 255 bytes: the length of a name is one byte.
fn cut(cname: &str) -> &str {
    let end = (0..=cname.len().min(255)).rev().find(|at| cname.is_char_boundary(*at)).unwrap_or(0);
    cname.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("name"), "name");
        assert_eq!(cut(&"a".repeat(300)).len(), 255);
        assert_eq!(cut(&"\u{e4}".repeat(200)).len(), 254);
    }

    #[test]
    fn round_trips_only_of_our_own_reports() {
        let send = SendConfig { ssrc: Ssrc(1), rtx: None, cname: String::new() };
        let mut outbound = Outbound::new(&send, 0, &mut wigwag_proto::random::seeded([1; 32]));
        let block = |last, delay| ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence_number: 0,
            jitter: 0,
            last_sender_report: last,
            delay_since_last: delay,
        };
        let ntp = NtpTimestamp(0x1234_5678_9ABC_DEF0);
        assert_eq!(outbound.handle_report(Instant(0), &block(0, 0)), None);
        assert_eq!(outbound.handle_report(Instant(0), &block(ntp.middle(), 0)), None);
        outbound.reported(Instant(1_000_000), ntp);
        let round_trip = outbound.handle_report(Instant(1_600_000), &block(ntp.middle(), 1 << 15));
        assert_eq!(round_trip, Some(Duration::from_millis(100)));
        assert_eq!(outbound.handle_report(Instant(1_600_000), &block(ntp.middle(), u32::MAX)), Some(Duration::ZERO));
        assert!(outbound.is_new_fir(Ssrc(2), 7) && !outbound.is_new_fir(Ssrc(2), 7) && outbound.is_new_fir(Ssrc(2), 8));
    }
}
