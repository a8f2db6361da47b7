//! Round-trip times and the retransmission timeout. RFC 9260 section 6.3.1.

use std::time::Duration;

/// Bounds of the timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub initial: Duration,
    pub min: Duration,
    pub max: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    limits: Limits,
    smoothed: Option<Duration>,
    variation: Duration,
    latest: Duration,
    min: Duration,
    rto: Duration,
}

impl Rtt {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            smoothed: None,
            variation: Duration::ZERO,
            latest: Duration::ZERO,
            min: Duration::MAX,
            rto: limits.initial,
        }
    }

    /// A packet that was sent once (Karn's rule) was acknowledged after `rtt`. This also ends the backoff.
    pub fn measure(&mut self, rtt: Duration) {
        self.latest = rtt;
        self.min = self.min.min(rtt);
        let smoothed = match self.smoothed {
            None => {
                self.variation = rtt / 2;
                rtt
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(rtt)) / 4;
                (smoothed * 7 + rtt) / 8
            }
        };
        self.smoothed = Some(smoothed);
        self.rto = (smoothed + self.variation * 4).clamp(self.limits.min, self.limits.max);
    }

    /// The handshake took this long: a first measurement.
    pub fn hint(&mut self, rtt: Option<Duration>) {
        if let Some(rtt) = rtt.filter(|_| self.smoothed.is_none()) {
            self.measure(rtt);
        }
    }

    /// The timeout passed: the next one is twice as long. Section 6.3.3, rule E2.
    pub fn back_off(&mut self) {
        self.rto = (self.rto * 2).min(self.limits.max);
    }

    pub fn rto(&self) -> Duration {
        self.rto
    }

    pub fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The shortest round trip that was seen; zero before the first.
    pub fn min(&self) -> Duration {
        if self.smoothed.is_some() { self.min } else { Duration::ZERO }
    }

    /// How long after its sending a piece counts as lost, when a later one has arrived: a round trip, and what it usually
    /// varies by. RFC 9002 section 6.1.2 in spirit, wider on a path with jitter.
    pub fn loss_delay(&self) -> Duration {
        let Some(smoothed) = self.smoothed else { return self.rto };
        let usual = smoothed.max(self.latest);
        (usual + usual / 8).max(smoothed + self.variation * 4).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_rfc_says() {
        let ms = Duration::from_millis;
        let mut rtt = Rtt::new(Limits { initial: ms(500), min: ms(100), max: ms(3000) });
        assert_eq!(rtt.rto(), ms(500));
        rtt.measure(ms(80));
        assert_eq!((rtt.smoothed(), rtt.rto()), (Some(ms(80)), ms(80 + 4 * 40)));
        rtt.back_off();
        assert_eq!(rtt.rto(), ms(480));
        for _ in 0..9 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), ms(3000));
        for _ in 0..99 {
            rtt.measure(ms(20));
        }
        assert_eq!(rtt.rto(), ms(100));
        assert_eq!(rtt.min(), ms(20));
    }
}
