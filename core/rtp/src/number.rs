//! The numbers of RTP, each a type of its own so that none is mistaken for another.

use std::fmt;

use wigwag_proto::{Serial, WallClock};

/// A source of packets: the synchronization source of RFC 3550 section 3. One endpoint may send many. RFC 8108.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Debug for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ssrc({:08x})", self.0)
    }
}

impl fmt::Display for Ssrc {
    /// Decimal, as in SDP.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A packet's place in its stream, modulo 2^16. RFC 3550 section 5.1.
///
/// ```
/// use wigwag_proto::Serial;
/// use wigwag_rtp::SequenceNumber;
///
/// assert!(SequenceNumber(2).is_after(SequenceNumber(65_535)));
/// assert_eq!(SequenceNumber(65_535).next(), SequenceNumber(0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(pub u16);

impl SequenceNumber {
    /// The one after it.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The one `count` later.
    pub const fn plus(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

impl Serial for SequenceNumber {
    fn distance_from(self, base: Self) -> Self {
        Self(self.0.distance_from(base.0))
    }
    fn is_after(self, other: Self) -> bool {
        self.0.is_after(other.0)
    }
}

/// The time of a sample in units of the payload's clock rate, modulo 2^32. RFC 3550 section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    /// `ticks` later.
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }
}

impl Serial for RtpTimestamp {
    fn distance_from(self, base: Self) -> Self {
        Self(self.0.distance_from(base.0))
    }
    fn is_after(self, other: Self) -> bool {
        self.0.is_after(other.0)
    }
}

/// What a payload is, 0 to 127. RFC 3551 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(u8);

impl PayloadType {
    /// G.711 mu-law, 8 kHz. RFC 3551 section 6.
    pub const PCMU: Self = Self(0);
    /// G.711 A-law, 8 kHz.
    pub const PCMA: Self = Self(8);
    /// G.722; its clock says 8 kHz, although it samples at 16.
    pub const G722: Self = Self(9);
    /// Comfort noise, 8 kHz. RFC 3389.
    pub const COMFORT_NOISE: Self = Self(13);

    /// `None` above 127.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 128 { Some(Self(number)) } else { None }
    }

    /// The lower seven bits of a byte.
    pub(crate) const fn from_bits(byte: u8) -> Self {
        Self(byte & 0x7F)
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether it can share a port with RTCP: 64 to 95 look like RTCP there. RFC 5761 section 4.
    pub const fn allowed_with_rtcp_mux(self) -> bool {
        self.0 < 64 || self.0 > 95
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Extends sequence numbers to counters that do not wrap.
///
/// Each number is taken to lie as near as can be to the newest one so far. The first is given a whole circle of room
/// below it, for packets that overtook each other at the start, so counters begin between 65,536 and 131,071.
///
/// ```
/// use wigwag_rtp::{SequenceExtender, SequenceNumber};
///
/// let mut extender = SequenceExtender::default();
/// let first = extender.extend(SequenceNumber(65_535));
/// assert_eq!(extender.extend(SequenceNumber(1)), first + 2);
/// assert_eq!(extender.extend(SequenceNumber(65_533)), first - 2); // late: the newest stays
/// assert_eq!(extender.newest(), Some(first + 2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceExtender {
    newest: Option<u64>,
}

impl SequenceExtender {
    /// The counter of `number`.
    pub fn extend(&mut self, number: SequenceNumber) -> u64 {
        let extended = self.peek(number);
        self.newest = self.newest.max(Some(extended));
        extended
    }

    /// The counter of `number`, which does not become the newest.
    pub fn peek(&self, number: SequenceNumber) -> u64 {
        nearest(self.newest, u64::from(number.0), 1 << 16)
    }

    /// The largest counter so far.
    pub const fn newest(&self) -> Option<u64> {
        self.newest
    }
}

/// Extends RTP timestamps to counters that do not wrap, as [`SequenceExtender`] does with sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimestampExtender {
    newest: Option<u64>,
}

impl TimestampExtender {
    /// The counter of `timestamp`, in units of the clock rate.
    pub fn extend(&mut self, timestamp: RtpTimestamp) -> u64 {
        let extended = self.peek(timestamp);
        self.newest = self.newest.max(Some(extended));
        extended
    }

    /// The counter of `timestamp`, which does not become the newest.
    pub fn peek(&self, timestamp: RtpTimestamp) -> u64 {
        nearest(self.newest, u64::from(timestamp.0), 1 << 32)
    }

    /// The largest counter so far.
    pub const fn newest(&self) -> Option<u64> {
        self.newest
    }
}

/// The counter nearest to `newest` that is `value` modulo `circle`; half the circle away counts as older.
fn nearest(newest: Option<u64>, value: u64, circle: u64) -> u64 {
    let Some(newest) = newest else { return circle + value };
    let ahead = value.wrapping_sub(newest) & (circle - 1);
    let extended = newest.wrapping_add(ahead);
    // The newest is never below `circle`, so this cannot go below zero.
    if ahead < circle / 2 { extended } else { extended.wrapping_sub(circle) }
}

/// A time of day as NTP counts it: seconds since 1900 in the upper 32 bits, their fraction in the lower. RFC 3550
/// section 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTimestamp(pub u64);

/// Seconds from 1900 to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

impl NtpTimestamp {
    /// The NTP time of a wall-clock (its era wraps in 2036, as it must).
    pub const fn from_wall_clock(clock: WallClock) -> Self {
        let (seconds, micros) = (clock.0 / 1_000_000, clock.0 % 1_000_000);
        let fraction = (micros << 32) / 1_000_000;
        Self((seconds.wrapping_add(NTP_TO_UNIX) << 32) | fraction)
    }

    /// The wall-clock, to the nearest microsecond, of a time from 1970 to 2106.
    pub const fn to_wall_clock(self) -> WallClock {
        // RFC 5905 section 6: what seems to lie before 1970 lies after the wrap of 2036.
        let seconds = (self.0 >> 32).wrapping_sub(NTP_TO_UNIX) & 0xFFFF_FFFF;
        let micros = ((self.0 & 0xFFFF_FFFF) * 1_000_000 + (1 << 31)) >> 32;
        WallClock(seconds * 1_000_000 + micros)
    }

    /// The middle 32 bits, in units of 1/65,536 second: what LSR and LRR are. RFC 3550 section 6.4.1.
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn extension_follows_a_walk(start: u16, steps in prop::collection::vec(-32_000..32_000_i64, 0..50)) {
            let mut extender = SequenceExtender::default();
            let mut truth = extender.extend(SequenceNumber(start)) as i64;
            for step in steps {
                let next = truth + step;
                if next < 1 << 16 { continue; }
                let newest = extender.newest().unwrap() as i64;
                if newest - next > 32_768 { continue; }
                prop_assert_eq!(extender.extend(SequenceNumber(next as u16)) as i64, next);
                truth = next.max(newest);
            }
        }

        #[test]
        fn timestamps_too(start: u32, step in -2_000_000_000..2_000_000_000_i64) {
            let mut extender = TimestampExtender::default();
            let first = extender.extend(RtpTimestamp(start)) as i64;
            prop_assert_eq!(extender.extend(RtpTimestamp(start.wrapping_add(step as u32))) as i64, first + step);
        }

        #[test]
        fn ntp_keeps_the_microsecond(micros in 0..4_294_967_296_000_000_u64) {
            prop_assert_eq!(NtpTimestamp::from_wall_clock(WallClock(micros)).to_wall_clock(), WallClock(micros));
        }
    }

    #[test]
    fn ntp_of_the_epoch() {
        assert_eq!(NtpTimestamp::from_wall_clock(WallClock(0)).0, 0x83AA_7E80_0000_0000);
        assert_eq!(NtpTimestamp(0x1234_5678_9ABC_DEF0).middle(), 0x5678_9ABC);
    }

    #[test]
    fn payload_types() {
        assert_eq!(PayloadType::new(128), None);
        assert!(!PayloadType::new(72).unwrap().allowed_with_rtcp_mux());
        assert!(PayloadType::new(96).unwrap().allowed_with_rtcp_mux());
    }
}
