//! One source that is received.

use wigwag_proto::Instant;
use wigwag_rtp::rtcp::ReportBlock;
use wigwag_rtp::{PayloadType, Ssrc};

use crate::missing::Missing;
use crate::reception::Reception;
use crate::{InboundStats, LastSenderReport, Rid};

/// After so many reports without a packet, a source is not reported any more. RFC 3550 section 6.4: those heard since the last report,
/// and one more, for the sender learns of the last losses from it.
const REPORTS_AFTER_THE_LAST: u8 = 2;

#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub rid: Option<Rid>,
    pub reception: Reception,
    pub missing: Missing,
    /// Of the newest packet.
    pub payload_type: Option<PayloadType>,
    pub stats: InboundStats,
    /// A key frame is to be asked for by PLI.
    pub wants_pli: bool,
    /// A key frame is to be asked for by FIR.
    pub wants_fir: bool,
    /// Of the last FIR.
    pub fir_number: u8,
    /// Reports that are still to speak of it.
    pub reports_left: u8,
    /// It said that it ends.
    pub said_bye: bool,
}

impl Inbound {
    /// A packet arrived, whatever became of it.
    pub fn touch(&mut self) {
        self.reports_left = REPORTS_AFTER_THE_LAST;
        self.said_bye = false;
    }

    pub fn report_block(&self, now: Instant, ssrc: Ssrc) -> ReportBlock {
        let quality = self.reception.quality();
        let last = self.stats.last_sender_report;
        ReportBlock {
            ssrc,
            fraction_lost: quality.fraction_lost,
            cumulative_lost: quality.lost.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            highest_sequence_number: quality.highest,
            jitter: quality.jitter,
            last_sender_report: last.map_or(0, |last| last.ntp.middle()),
            delay_since_last: last.map_or(0, |last| delay_since(now, &last)),
        }
    }

    pub fn stats(&self) -> InboundStats {
        InboundStats { lost: self.reception.lost(), jitter: self.reception.jitter(), ..self.stats }
    }
}

/// In units of 1/65,536 second. RFC 3550 section 6.4.1.
fn delay_since(now: Instant, last: &LastSenderReport) -> u32 {
    let units = ((now - last.arrival).as_micros() << 16) / 1_000_000;
    units.min(u128::from(u32::MAX)) as u32
}

impl InboundStats {
    /// Of several streams.
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.jitter = self.jitter.max(other.jitter);
        self.nacks_sent += other.nacks_sent;
        self.plis_sent += other.plis_sent;
        self.firs_sent += other.firs_sent;
        self.recovered += other.recovered;
        self.duplicates += other.duplicates;
        self.too_late += other.too_late;
        self.given_up += other.given_up;
        self.probe_bytes += other.probe_bytes;
        self.probes += other.probes;
        let newer = [self.last_sender_report, other.last_sender_report];
        self.last_sender_report = newer.into_iter().flatten().max_by_key(|report| report.arrival);
    }
}
