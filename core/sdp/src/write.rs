//! Writing, in the order of RFC 8866 section 9 and with its line ends.

use std::fmt::{self, Display, Formatter, Write};

use crate::attribute::Attributes;
use crate::line::{Address, Bandwidth, Origin, OtherLine, Timing};
use crate::media::MediaDescription;
use crate::session::SessionDescription;

/// A line break inside a value would begin another line: an injection. They are left out.
struct OneLine<'a, 'b>(&'a mut Formatter<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.split(['\r', '\n']).try_for_each(|part| self.0.write_str(part))
    }
}

fn line(f: &mut Formatter<'_>, kind: char, value: impl Display) -> fmt::Result {
    write!(OneLine(f), "{kind}={value}")?;
    f.write_str("\r\n")
}

fn others(f: &mut Formatter<'_>, lines: &[OtherLine], early: bool) -> fmt::Result {
    lines.iter().filter(|it| it.is_early() == early).try_for_each(|it| line(f, it.kind, &it.value))
}

fn common(f: &mut Formatter<'_>, connection: Option<&Address>, bandwidth: &[Bandwidth]) -> fmt::Result {
    connection.map_or(Ok(()), |address| line(f, 'c', address))?;
    bandwidth.iter().try_for_each(|it| line(f, 'b', it))
}

fn attributes(f: &mut Formatter<'_>, attributes: &Attributes) -> fmt::Result {
    attributes.iter().try_for_each(|attribute| line(f, 'a', attribute.text()))
}

impl Display for SessionDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, 'v', 0)?;
        line(f, 'o', &self.origin)?;
        line(f, 's', &self.name)?;
        others(f, &self.other, true)?;
        common(f, self.connection.as_ref(), &self.bandwidth)?;
        line(f, 't', self.timing)?;
        others(f, &self.other, false)?;
        attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl Display for MediaDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(OneLine(f), "m={} {}", self.media, self.port)?;
        self.port_count.map_or(Ok(()), |count| write!(f, "/{count}"))?;
        write!(OneLine(f), " {}", self.protocol)?;
        self.formats.iter().try_for_each(|format| write!(OneLine(f), " {format}"))?;
        f.write_str("\r\n")?;
        others(f, &self.other, true)?;
        common(f, self.connection.as_ref(), &self.bandwidth)?;
        others(f, &self.other, false)?;
        attributes(f, &self.attributes)
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { username, session_id, session_version, address } = self;
        write!(f, "{username} {session_id} {session_version} {address}")
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.network_type, self.address_type, self.address)
    }
}

impl Display for Timing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.start, self.stop)
    }
}

impl Display for Bandwidth {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_begin_another_line() {
        let mut description = SessionDescription::new(1);
        description.name = "x\r\na=ice-lite".to_owned();
        description.media.push(MediaDescription::new("audio\nm=video", "UDP\r/TLS", ["0\r\nb=AS:1"]));
        let text = description.to_string();
        assert!(text.contains("s=xa=ice-lite\r\n"));
        assert!(text.contains("m=audiom=video 9 UDP/TLS 0b=AS:1\r\n"));
        assert_eq!(text.lines().count(), 6);
    }
}
