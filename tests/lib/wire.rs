//! One direction of a link in virtual time: a line with a rate, a queue that drops at its end, delay and random loss. What uses it includes this
//! file as a module, by its path. (`tests/net` has all that a network can do; this has what takes nanoseconds a packet, in as many flows as share it.)
#![allow(dead_code)]

use std::collections::VecDeque;
use std::time::Duration;

/// What goes over it: `T` is a datagram and whom it is for.
pub struct Wire<T> {
    /// Bits per second.
    pub rate: u64,
    /// One way.
    pub delay: Duration,
    /// Bytes that wait at most.
    pub queue: usize,
    /// The probability that a datagram is lost.
    pub loss: f64,
    /// Bytes dropped since they found the queue full, and bytes lost.
    pub dropped: u64,
    pub lost: u64,
    /// Bytes carried.
    pub carried: u64,
    /// How long each datagram waited, in microseconds; cleared by who looks.
    pub waits: Vec<u32>,
    /// In nanoseconds.
    free_at: u64,
    flying: VecDeque<(u64, T)>,
    random: u64,
}

impl<T> Wire<T> {
    pub fn new(rate: u64, delay: Duration, queue: usize, loss: f64, seed: u64) -> Self {
        Self {
            rate,
            delay,
            queue,
            loss,
            dropped: 0,
            lost: 0,
            carried: 0,
            waits: Vec::new(),
            free_at: 0,
            flying: VecDeque::new(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// Says whether the datagram, `bytes` long with all headers, is on its way. `now` is the time since the start.
    pub fn send(&mut self, now: Duration, bytes: usize, datagram: T) -> bool {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let dice = (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64;
        if dice < self.loss {
            self.lost += bytes as u64;
            return false;
        }
        let now = now.as_nanos() as u64;
        let wait = self.free_at.saturating_sub(now);
        if u128::from(wait) * u128::from(self.rate) / 8_000_000_000 + bytes as u128 > self.queue as u128 {
            self.dropped += bytes as u64;
            return false;
        }
        self.waits.push((wait / 1000) as u32);
        self.free_at = self.free_at.max(now) + (bytes as u64 * 8_000_000_000).div_ceil(self.rate);
        self.carried += bytes as u64;
        self.flying.push_back((self.free_at + self.delay.as_nanos() as u64, datagram));
        true
    }

    /// When the next one arrives, to the microsecond above.
    pub fn next(&self) -> Option<Duration> {
        self.flying.front().map(|(at, _)| Duration::from_micros(at.div_ceil(1000)))
    }

    /// What has arrived.
    pub fn poll(&mut self, now: Duration) -> Option<T> {
        self.next().filter(|&at| at <= now)?;
        self.flying.pop_front().map(|(_, datagram)| datagram)
    }

    /// The wait that a share of all stayed below, and forgets them.
    pub fn wait(&mut self, share: f64) -> Duration {
        self.waits.sort_unstable();
        let index = ((self.waits.len() as f64 * share) as usize).min(self.waits.len().saturating_sub(1));
        let wait = self.waits.get(index).copied().unwrap_or(0);
        Duration::from_micros(wait.into())
    }
}
