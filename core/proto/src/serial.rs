//! Numbers that wrap around, compared as RFC 1982 says.

/// A serial number: `0` comes after the largest value, and "newer" means less than half the circle ahead.
///
/// ```
/// use wigwag_proto::Serial;
///
/// assert!(2_u32.is_after(u32::MAX));
/// assert_eq!(2_u32.distance_from(u32::MAX), 3);
/// assert!(!5_u16.is_after(5));
/// ```
pub trait Serial: Copy + PartialEq {
    /// How far `self` lies after `base`, going forward only; huge when it lies before.
    fn distance_from(self, base: Self) -> Self;

    /// Whether `self` is newer than `other`. RFC 1982 section 3.2; exactly half the circle away counts as older.
    fn is_after(self, other: Self) -> bool;

    /// Whether `self` is newer than `other`, or the same.
    fn is_at_or_after(self, other: Self) -> bool {
        self == other || self.is_after(other)
    }
}

impl Serial for u16 {
    fn distance_from(self, base: Self) -> Self {
        self.wrapping_sub(base)
    }
    fn is_after(self, other: Self) -> bool {
        (self.wrapping_sub(other) as i16) > 0
    }
}

impl Serial for u32 {
    fn distance_from(self, base: Self) -> Self {
        self.wrapping_sub(base)
    }
    fn is_after(self, other: Self) -> bool {
        (self.wrapping_sub(other) as i32) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_lies_ahead_is_after(base: u32, ahead in 1..0x8000_0000_u32) {
            prop_assert!(base.wrapping_add(ahead).is_after(base));
            prop_assert!(!base.is_after(base.wrapping_add(ahead)));
            prop_assert_eq!(base.wrapping_add(ahead).distance_from(base), ahead);
        }

        #[test]
        fn sixteen_bits_too(base: u16, ahead in 1..0x8000_u16) {
            prop_assert!(base.wrapping_add(ahead).is_after(base));
            prop_assert!(!base.is_after(base.wrapping_add(ahead)));
        }

        #[test]
        fn never_both(a: u32, b: u32) {
            prop_assert!(!(a.is_after(b) && b.is_after(a)));
            prop_assert!(a.is_at_or_after(a));
        }
    }
}
