//! Values of attributes that are one word of a few.

use std::fmt;
use std::str::FromStr;

/// What `max-message-size` is where it is not said: 64 kB, RFC 8841 section 6.1.
pub const DEFAULT_MAX_MESSAGE_SIZE: u64 = 65_536;

/// The value is none of those that the standard knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an unknown value")]
pub struct UnknownValue;

/// Which way media flows, seen from who wrote the description, RFC 8866 section 6.7.
///
/// ```
/// use wigwag_sdp::Direction;
///
/// assert_eq!("recvonly".parse(), Ok(Direction::RecvOnly));
/// assert_eq!(Direction::RecvOnly.reversed().to_string(), "sendonly");
/// assert_eq!(Direction::new(false, true), Direction::RecvOnly);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways; also where nothing is said.
    #[default]
    SendRecv,
    /// From the writer to the reader.
    SendOnly,
    /// From the reader to the writer.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    /// From its two parts.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Does the writer send?
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Does the writer receive?
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same, seen from the other side.
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// As SDP writes it, and as an attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Direction {
    type Err = UnknownValue;
    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        Self::ALL.into_iter().find(|value| value.as_str() == text).ok_or(UnknownValue)
    }
}

/// Who starts the DTLS handshake, RFC 4145 section 4 and RFC 8842 section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The writer does: it is the DTLS client.
    Active,
    /// The writer waits for it.
    Passive,
    /// Either: the answerer chooses.
    ActPass,
    /// Not now. Not used in WebRTC.
    HoldConn,
}

impl Setup {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn];

    /// As SDP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Setup {
    type Err = UnknownValue;
    /// In any case, as SIP gear writes it.
    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        Self::ALL.into_iter().find(|value| value.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownValue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_what_they_write() {
        for value in Direction::ALL {
            assert_eq!(value.to_string().parse(), Ok(value));
            assert_eq!(value.reversed().reversed(), value);
        }
        for value in Setup::ALL {
            assert_eq!(value.to_string().parse(), Ok(value));
        }
        assert_eq!("both".parse::<Setup>(), Err(UnknownValue));
    }
}
