//! The hellos of both versions. RFC 8446 section 4.1, RFC 9147 section 5.3, RFC 6347 section 4.2.1.
//!
//! ```text
//! ClientHello   version, random, session id, cookie, cipher suites, compression methods, extensions
//! ServerHello   version, random, session id, cipher suite, compression method, extensions
//! ```
//!
//! A HelloRetryRequest is a ServerHello with a certain random.

use super::codec::{Reader, numbers, prefixed, put_u16};
use super::registry::{DTLS_12, RENEGOTIATION_SCSV};

/// Extension types. RFC 8446 section 4.2 and the RFCs named there.
mod extension {
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const EC_POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const USE_SRTP: u16 = 14;
    pub(super) const EXTENDED_MASTER_SECRET: u16 = 23;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const COOKIE: u16 = 44;
    pub(super) const KEY_SHARE: u16 = 51;
    pub(super) const RENEGOTIATION_INFO: u16 = 0xFF01;
}
use extension::*;

/// More than any hello has; extensions may not come twice, and are looked for one by one.
const MAX_EXTENSIONS: usize = 64;

/// The random of a HelloRetryRequest: SHA-256 of "HelloRetryRequest". RFC 8446 section 4.1.3.
pub(crate) const RETRY_RANDOM: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];

/// How the random of a server ends that has DTLS 1.3 and negotiated 1.2. RFC 8446 section 4.1.3.
pub(crate) const DOWNGRADE: [u8; 8] = *b"DOWNGRD\x01";

/// A ClientHello; lists are as they stand there.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientHello<'a> {
    pub version: u16,
    pub random: [u8; 32],
    pub session_id: &'a [u8],
    pub suites: &'a [u8],
    pub versions: Option<&'a [u8]>,
    pub groups: Option<&'a [u8]>,
    pub schemes: Option<&'a [u8]>,
    /// Pairs of a group and a key.
    pub shares: Option<&'a [u8]>,
    pub srtp: Option<&'a [u8]>,
    pub extended_master_secret: bool,
    pub renegotiation_info: bool,
    pub point_formats: bool,
}

/// A ServerHello or HelloRetryRequest.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerHello<'a> {
    pub version: u16,
    pub random: [u8; 32],
    pub session_id: &'a [u8],
    pub suite: u16,
    /// Of supported_versions.
    pub selected_version: Option<u16>,
    /// A share, or only a group in a HelloRetryRequest.
    pub share: Option<&'a [u8]>,
    pub cookie: Option<&'a [u8]>,
    pub srtp: Option<u16>,
    pub extended_master_secret: bool,
    pub point_formats: bool,
    /// There may be one, if it is empty.
    pub renegotiation_info: bool,
}

/// Calls `take` for each extension; `None` if they are malformed, or one comes twice.
fn extensions<'a>(list: &'a [u8], mut take: impl FnMut(u16, Reader<'a>) -> Option<()>) -> Option<()> {
    let mut reader = Reader(list);
    let mut seen = [0; MAX_EXTENSIONS];
    for count in 0.. {
        if reader.is_empty() {
            break;
        }
        let kind = reader.u16()?;
        let body = reader.vec16()?;
        if seen.get(..count)?.contains(&kind) {
            return None;
        }
        *seen.get_mut(count)? = kind;
        take(kind, Reader(body))?;
    }
    Some(())
}

/// The whole extension is one list.
fn list16<'a>(mut body: Reader<'a>) -> Option<Option<&'a [u8]>> {
    let list = body.vec16()?;
    body.end()?;
    Some(Some(list))
}

impl<'a> ClientHello<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let mut hello = Self {
            version: reader.u16()?,
            random: reader.array()?,
            session_id: reader.vec8()?,
            suites: {
                reader.vec8()?; // a cookie, which we asked nobody for
                reader.vec16()?
            },
            ..Self::default()
        };
        // "null" must be among them.
        if !reader.vec8()?.contains(&0) || hello.session_id.len() > 32 {
            return None;
        }
        hello.renegotiation_info = numbers(hello.suites).any(|suite| suite == RENEGOTIATION_SCSV);
        if reader.is_empty() {
            return Some(hello);
        }
        let list = reader.vec16()?;
        reader.end()?;
        extensions(list, |kind, mut body| {
            match kind {
                SUPPORTED_VERSIONS => {
                    hello.versions = Some(body.vec8()?);
                    body.end()?;
                }
                SUPPORTED_GROUPS => hello.groups = list16(body)?,
                SIGNATURE_ALGORITHMS => hello.schemes = list16(body)?,
                KEY_SHARE => hello.shares = list16(body)?,
                USE_SRTP => {
                    hello.srtp = Some(body.vec16()?);
                    body.vec8()?; // the MKI, which nobody uses
                    body.end()?;
                }
                EXTENDED_MASTER_SECRET => hello.extended_master_secret = true,
                RENEGOTIATION_INFO => hello.renegotiation_info = true,
                EC_POINT_FORMATS => hello.point_formats = true,
                _ => {}
            }
            Some(())
        })?;
        Some(hello)
    }

    /// The share for `group`.
    pub(crate) fn share(&self, group: u16) -> Option<&'a [u8]> {
        let mut reader = Reader(self.shares?);
        while !reader.is_empty() {
            let (number, key) = (reader.u16()?, reader.vec16()?);
            if number == group {
                return Some(key);
            }
        }
        None
    }
}

impl<'a> ServerHello<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let mut hello = Self {
            version: reader.u16()?,
            random: reader.array()?,
            session_id: reader.vec8()?,
            suite: reader.u16()?,
            ..Self::default()
        };
        if reader.u8()? != 0 {
            return None; // compressed
        }
        if reader.is_empty() {
            return Some(hello);
        }
        let list = reader.vec16()?;
        reader.end()?;
        extensions(list, |kind, mut body| {
            match kind {
                SUPPORTED_VERSIONS => {
                    hello.selected_version = Some(body.u16()?);
                    body.end()?;
                }
                KEY_SHARE => hello.share = Some(body.0),
                COOKIE => hello.cookie = list16(body)?,
                USE_SRTP => hello.srtp = Some(srtp_choice(body)?),
                EXTENDED_MASTER_SECRET => hello.extended_master_secret = true,
                // Ours is the first handshake. RFC 5746 section 3.4.
                RENEGOTIATION_INFO if body.0 != [0] => return None,
                _ => {}
            }
            Some(())
        })?;
        Some(hello)
    }

    pub(crate) fn is_retry(&self) -> bool {
        self.random == RETRY_RANDOM
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u16(&mut out, self.version);
        out.extend_from_slice(&self.random);
        prefixed::<1>(&mut out, |out| out.extend_from_slice(self.session_id));
        put_u16(&mut out, self.suite);
        out.push(0);
        prefixed::<2>(&mut out, |out| {
            if let Some(version) = self.selected_version {
                put_extension(out, SUPPORTED_VERSIONS, |out| put_u16(out, version));
            }
            if let Some(share) = self.share {
                put_extension(out, KEY_SHARE, |out| out.extend_from_slice(share));
            }
            if let Some(cookie) = self.cookie {
                put_extension(out, COOKIE, |out| prefixed::<2>(out, |out| out.extend_from_slice(cookie)));
            }
            if let Some(profile) = self.srtp {
                put_srtp(out, &[profile]);
            }
            if self.extended_master_secret {
                put_extension(out, EXTENDED_MASTER_SECRET, |_| ());
            }
            if self.renegotiation_info {
                put_extension(out, RENEGOTIATION_INFO, |out| out.push(0));
            }
            if self.point_formats {
                put_extension(out, EC_POINT_FORMATS, |out| out.extend_from_slice(&[1, 0]));
            }
        });
        out
    }
}

/// The one profile that a server chose, without an MKI, since we send none. RFC 5764 section 4.1.1.
fn srtp_choice(mut body: Reader<'_>) -> Option<u16> {
    let mut profiles = Reader(body.vec16()?);
    let profile = profiles.u16()?;
    profiles.end()?;
    body.vec8()?.is_empty().then_some(())?;
    body.end()?;
    Some(profile)
}

fn put_extension(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    put_u16(out, kind);
    prefixed::<2>(out, write);
}

fn put_list(out: &mut Vec<u8>, kind: u16, list: impl IntoIterator<Item = u16>) {
    put_extension(out, kind, |out| prefixed::<2>(out, |out| list.into_iter().for_each(|number| put_u16(out, number))));
}

fn put_srtp(out: &mut Vec<u8>, profiles: &[u16]) {
    put_extension(out, USE_SRTP, |out| {
        prefixed::<2>(out, |out| profiles.iter().for_each(|profile| put_u16(out, *profile)));
        out.push(0);
    });
}

/// What a client offers.
pub(crate) struct Offered<'a> {
    pub random: [u8; 32],
    pub cookie_12: &'a [u8],
    pub cookie_13: Option<&'a [u8]>,
    pub suites: Vec<u16>,
    /// For supported_versions; empty without DTLS 1.3.
    pub versions: Vec<u16>,
    /// Whether DTLS 1.2 is offered.
    pub dtls12: bool,
    pub groups: Vec<u16>,
    pub schemes: Vec<u16>,
    pub srtp: Vec<u16>,
    /// Groups and keys; empty without DTLS 1.3.
    pub shares: Vec<(u16, Vec<u8>)>,
}

impl Offered<'_> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u16(&mut out, DTLS_12);
        out.extend_from_slice(&self.random);
        out.push(0); // no session to resume
        prefixed::<1>(&mut out, |out| out.extend_from_slice(self.cookie_12));
        prefixed::<2>(&mut out, |out| self.suites.iter().for_each(|suite| put_u16(out, *suite)));
        out.extend_from_slice(&[1, 0]);
        prefixed::<2>(&mut out, |out| {
            if !self.versions.is_empty() {
                put_extension(out, SUPPORTED_VERSIONS, |out| {
                    prefixed::<1>(out, |out| self.versions.iter().for_each(|version| put_u16(out, *version)));
                });
            }
            put_list(out, SUPPORTED_GROUPS, self.groups.iter().copied());
            put_list(out, SIGNATURE_ALGORITHMS, self.schemes.iter().copied());
            put_srtp(out, &self.srtp);
            if self.dtls12 {
                put_extension(out, EXTENDED_MASTER_SECRET, |_| ());
                put_extension(out, RENEGOTIATION_INFO, |out| out.push(0));
                put_extension(out, EC_POINT_FORMATS, |out| out.extend_from_slice(&[1, 0]));
            }
            if !self.shares.is_empty() {
                let put = |out: &mut Vec<u8>| self.shares.iter().for_each(|(group, key)| put_share(out, *group, key));
                put_extension(out, KEY_SHARE, |out| prefixed::<2>(out, put));
            }
            if let Some(cookie) = self.cookie_13 {
                put_extension(out, COOKIE, |out| prefixed::<2>(out, |out| out.extend_from_slice(cookie)));
            }
        });
        out
    }
}

/// One KeyShareEntry. RFC 8446 section 4.2.8.
pub(crate) fn put_share(out: &mut Vec<u8>, group: u16, key: &[u8]) {
    put_u16(out, group);
    prefixed::<2>(out, |out| out.extend_from_slice(key));
}

/// EncryptedExtensions: of what a server may say there, only the SRTP profile matters to us.
pub(crate) fn write_encrypted_extensions(srtp: Option<u16>) -> Vec<u8> {
    let mut out = Vec::new();
    prefixed::<2>(&mut out, |out| {
        if let Some(profile) = srtp {
            put_srtp(out, &[profile]);
        }
    });
    out
}

pub(crate) fn parse_encrypted_extensions(body: &[u8]) -> Option<Option<u16>> {
    let mut reader = Reader(body);
    let (list, mut srtp) = (reader.vec16()?, None);
    reader.end()?;
    extensions(list, |kind, body| {
        if kind == USE_SRTP {
            srtp = Some(srtp_choice(body)?);
        }
        Some(())
    })?;
    Some(srtp)
}

/// CertificateRequest of DTLS 1.3, with an empty context. RFC 8446 section 4.3.2.
pub(crate) fn write_certificate_request_13(schemes: &[u16]) -> Vec<u8> {
    let mut out = vec![0];
    prefixed::<2>(&mut out, |out| put_list(out, SIGNATURE_ALGORITHMS, schemes.iter().copied()));
    out
}

/// The context, and the signature schemes.
pub(crate) fn parse_certificate_request_13(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader(body);
    let (context, list, mut schemes) = (reader.vec8()?, reader.vec16()?, None);
    reader.end()?;
    extensions(list, |kind, body| {
        if kind == SIGNATURE_ALGORITHMS {
            schemes = list16(body)?;
        }
        Some(())
    })?;
    Some((context, schemes?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_hello_comes_back() {
        let offered = Offered {
            random: [7; 32],
            cookie_12: b"biscuit",
            cookie_13: Some(b"other"),
            suites: vec![0x1301, 0xC02B],
            versions: vec![0xFEFC, 0xFEFD],
            dtls12: true,
            groups: vec![29, 23],
            schemes: vec![0x0403],
            srtp: vec![7, 1],
            shares: vec![(29, vec![9; 32])],
        };
        let body = offered.write();
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!((hello.version, hello.random), (DTLS_12, [7; 32]));
        assert_eq!(numbers(hello.suites).collect::<Vec<_>>(), offered.suites);
        assert_eq!(numbers(hello.versions.unwrap()).collect::<Vec<_>>(), offered.versions);
        assert_eq!(numbers(hello.srtp.unwrap()).collect::<Vec<_>>(), offered.srtp);
        assert_eq!(hello.share(29), Some(&[9; 32][..]));
        assert_eq!(hello.share(23), None);
        assert!(hello.extended_master_secret && hello.renegotiation_info && hello.point_formats);
        for len in 0..body.len() {
            assert!(ClientHello::parse(&body[..len]).is_none() || len == 51, "{len}: no extensions");
        }
    }

    #[test]
    fn a_server_hello_comes_back() {
        let hello = ServerHello {
            version: DTLS_12,
            random: [3; 32],
            suite: 0x1301,
            selected_version: Some(0xFEFC),
            share: Some(b"share"),
            cookie: Some(b"cookie"),
            srtp: Some(7),
            extended_master_secret: true,
            renegotiation_info: true,
            ..ServerHello::default()
        };
        let body = hello.write();
        let back = ServerHello::parse(&body).unwrap();
        assert_eq!((back.suite, back.selected_version, back.srtp), (0x1301, Some(0xFEFC), Some(7)));
        assert_eq!((back.share, back.cookie), (hello.share, hello.cookie));
        assert!(back.extended_master_secret && !back.is_retry());
    }

    #[test]
    fn no_extension_comes_twice() {
        let twice = [0, 23, 0, 0, 0, 23, 0, 0];
        assert_eq!(extensions(&twice, |_, _| Some(())), None);
        assert_eq!(extensions(&twice[..4], |_, _| Some(())), Some(()));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(hello) = ClientHello::parse(&bytes) {
                let _ = hello.share(29);
            }
            let _ = ServerHello::parse(&bytes);
            let _ = parse_encrypted_extensions(&bytes);
            let _ = parse_certificate_request_13(&bytes);
        }
    }
}
