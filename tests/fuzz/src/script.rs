//! The fuzzer's bytes, read as decisions.

use std::time::Duration;

/// What is left of the input. Once it is spent, every decision is 0, and [`next`](Self::next) gives nothing.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    /// The next step, as long as there is one.
    pub fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// One of `count`; 0 if there are none.
    pub fn below(&mut self, count: usize) -> usize {
        let value = if count > 256 { usize::from(self.u16()) } else { usize::from(self.byte()) };
        value.checked_rem(count).unwrap_or_default()
    }

    /// One of these; a copy.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).copied()
    }

    /// As many bytes as the next one says, at most `max`.
    pub fn bytes(&mut self, max: usize) -> &'a [u8] {
        let len = usize::from(self.byte()).min(max).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    /// From a microsecond to eight hours: mostly what timers of protocols are made of.
    pub fn duration(&mut self) -> Duration {
        let byte = self.byte();
        let unit = [1, 100, 1_000, 5_000, 20_000, 100_000, 1_000_000, 10_000_000][usize::from(byte >> 5)];
        let micros = unit * u64::from((byte & 0x1F) + 1);
        Duration::from_micros(if byte == 0xFF { 8 * 3_600_000_000 } else { micros })
    }
}
