//! Handshake messages but the hellos, and acknowledgements.
//!
//! Every message, or fragment of one, has a header of twelve bytes. RFC 9147 section 5.2, RFC 6347 section 4.2.2:
//!
//! ```text
//! type (1) | length (3) | message_seq (2) | fragment_offset (3) | fragment_length (3)
//! ```

use super::codec::{Reader, numbers, prefixed, put_u16, u24};
use crate::record::RecordNumber;

/// Handshake types. RFC 8446 section 4, RFC 6347 section 4.3.2.
pub(crate) const CLIENT_HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
pub(crate) const HELLO_VERIFY_REQUEST: u8 = 3;
pub(crate) const NEW_SESSION_TICKET: u8 = 4;
pub(crate) const ENCRYPTED_EXTENSIONS: u8 = 8;
pub(crate) const CERTIFICATE: u8 = 11;
pub(crate) const SERVER_KEY_EXCHANGE: u8 = 12;
pub(crate) const CERTIFICATE_REQUEST: u8 = 13;
pub(crate) const SERVER_HELLO_DONE: u8 = 14;
pub(crate) const CERTIFICATE_VERIFY: u8 = 15;
pub(crate) const CLIENT_KEY_EXCHANGE: u8 = 16;
pub(crate) const FINISHED: u8 = 20;
pub(crate) const KEY_UPDATE: u8 = 24;
/// What stands for the first ClientHello after a HelloRetryRequest. RFC 8446 section 4.4.1.
pub(crate) const MESSAGE_HASH: u8 = 254;

/// Bytes of a fragment's header.
pub(crate) const HEADER: usize = 12;

/// Certificate types in a CertificateRequest: `rsa_sign`, `ecdsa_sign`. RFC 5246 section 7.4.4, RFC 8422.
const CERTIFICATE_TYPES: [u8; 2] = [64, 1];
/// `named_curve`. RFC 8422 section 5.4.
const NAMED_CURVE: u8 = 3;

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub kind: u8,
    pub seq: u16,
    /// The epoch of the records it came in.
    pub epoch: u64,
    pub body: Vec<u8>,
}

/// A part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub kind: u8,
    /// Bytes of the whole message.
    pub len: usize,
    pub seq: u16,
    pub offset: usize,
    pub part: &'a [u8],
}

impl<'a> Fragment<'a> {
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let (kind, len, seq) = (reader.u8()?, reader.u24()?, reader.u16()?);
        let (offset, part) = (reader.u24()?, reader.vec24()?);
        (offset + part.len() <= len).then_some(Self { kind, len, seq, offset, part })
    }
}

/// The header of a fragment.
pub(crate) fn header(kind: u8, len: usize, seq: u16, offset: usize, part: usize) -> [u8; HEADER] {
    let ([a, b, c], [d, e]) = (u24(len), seq.to_be_bytes());
    let ([f, g, h], [i, j, k]) = (u24(offset), u24(part));
    [kind, a, b, c, d, e, f, g, h, i, j, k]
}

/// Certificate, with our only one. RFC 8446 section 4.4.2, RFC 5246 section 7.4.2.
pub(crate) fn write_certificate(certificate: &[u8], context: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(certificate.len() + 16);
    if let Some(context) = context {
        prefixed::<1>(&mut out, |out| out.extend_from_slice(context));
    }
    prefixed::<3>(&mut out, |out| {
        prefixed::<3>(out, |out| out.extend_from_slice(certificate));
        if context.is_some() {
            put_u16(out, 0); // no extensions
        }
    });
    out
}

/// The first certificate, which is the peer's own; `Some(None)` if there is none.
pub(crate) fn parse_certificate(body: &[u8], dtls12: bool) -> Option<Option<&[u8]>> {
    let mut reader = Reader(body);
    if !dtls12 && !reader.vec8()?.is_empty() {
        return None; // a context that was not ours
    }
    let mut list = Reader(reader.vec24()?);
    reader.end()?;
    let mut first = None;
    while !list.is_empty() {
        let certificate = list.vec24()?;
        if !dtls12 {
            list.vec16()?;
        }
        first = first.or(Some(certificate));
    }
    match first {
        Some([]) => None,
        first => Some(first),
    }
}

/// CertificateVerify: a scheme and a signature. RFC 8446 section 4.4.3, RFC 5246 section 7.4.8.
pub(crate) fn write_signature(out: &mut Vec<u8>, scheme: u16, signature: &[u8]) {
    put_u16(out, scheme);
    prefixed::<2>(out, |out| out.extend_from_slice(signature));
}

pub(crate) fn parse_signature<'a>(reader: &mut Reader<'a>) -> Option<(u16, &'a [u8])> {
    let parsed = (reader.u16()?, reader.vec16()?);
    reader.end()?;
    Some(parsed)
}

/// ServerKeyExchange: what is signed, the group and key in it, and the signature. RFC 8422 section 5.4.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerKeyExchange<'a> {
    pub params: &'a [u8],
    pub group: u16,
    pub key: &'a [u8],
    pub scheme: u16,
    pub signature: &'a [u8],
}

impl<'a> ServerKeyExchange<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        if reader.u8()? != NAMED_CURVE {
            return None;
        }
        let (group, key) = (reader.u16()?, reader.vec8()?);
        let params = body.get(..body.len() - reader.0.len())?;
        let (scheme, signature) = parse_signature(&mut reader)?;
        Some(Self { params, group, key, scheme, signature })
    }
}

pub(crate) fn write_ecdh_params(group: u16, key: &[u8]) -> Vec<u8> {
    let mut out = vec![NAMED_CURVE];
    put_u16(&mut out, group);
    prefixed::<1>(&mut out, |out| out.extend_from_slice(key));
    out
}

/// ClientKeyExchange. RFC 8422 section 5.7.
pub(crate) fn write_client_key(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prefixed::<1>(&mut out, |out| out.extend_from_slice(key));
    out
}

pub(crate) fn parse_client_key(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    let key = reader.vec8()?;
    reader.end()?;
    Some(key)
}

/// CertificateRequest of DTLS 1.2. RFC 5246 section 7.4.4.
pub(crate) fn write_certificate_request_12(schemes: &[u16]) -> Vec<u8> {
    let mut out = Vec::new();
    prefixed::<1>(&mut out, |out| out.extend_from_slice(&CERTIFICATE_TYPES));
    prefixed::<2>(&mut out, |out| schemes.iter().for_each(|scheme| put_u16(out, *scheme)));
    put_u16(&mut out, 0); // of any authority
    out
}

/// The signature schemes.
pub(crate) fn parse_certificate_request_12(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    let (_types, schemes, _authorities) = (reader.vec8()?, reader.vec16()?, reader.vec16()?);
    reader.end()?;
    Some(schemes)
}

/// HelloVerifyRequest: the cookie. RFC 6347 section 4.2.1.
pub(crate) fn parse_hello_verify_request(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    let (_version, cookie) = (reader.u16()?, reader.vec8()?);
    reader.end()?;
    Some(cookie)
}

/// ACK. RFC 9147 section 7.
pub(crate) fn write_ack(numbers: &[RecordNumber]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + 16 * numbers.len());
    prefixed::<2>(&mut out, |out| {
        for number in numbers {
            out.extend_from_slice(&number.epoch.to_be_bytes());
            out.extend_from_slice(&number.sequence.to_be_bytes());
        }
    });
    out
}

pub(crate) fn parse_ack(body: &[u8]) -> Option<impl Iterator<Item = RecordNumber> + '_> {
    let mut reader = Reader(body);
    let mut list = Reader(reader.vec16()?);
    reader.end()?;
    Some(std::iter::from_fn(move || Some(RecordNumber { epoch: list.u64()?, sequence: list.u64()? })))
}

/// Whether a list of schemes has this one.
pub(crate) fn has(list: Option<&[u8]>, number: u16) -> bool {
    list.is_some_and(|list| numbers(list).any(|known| known == number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for dtls12 in [true, false] {
            let context = (!dtls12).then_some(&[][..]);
            let body = write_certificate(b"certificate", context);
            assert_eq!(parse_certificate(&body, dtls12), Some(Some(&b"certificate"[..])));
        }
        assert_eq!(parse_certificate(&[0, 0, 0], true), Some(None));
        assert_eq!(parse_certificate(&[0, 0, 0, 3, 0, 0, 0], true), None);
        assert_eq!(parse_client_key(&write_client_key(b"key")), Some(&b"key"[..]));

        let mut exchange = write_ecdh_params(29, b"a key");
        let params = exchange.clone();
        write_signature(&mut exchange, 0x0403, b"signed");
        let parsed = ServerKeyExchange::parse(&exchange).unwrap();
        assert_eq!((parsed.params, parsed.group, parsed.key), (&params[..], 29, &b"a key"[..]));
        assert_eq!((parsed.scheme, parsed.signature), (0x0403, &b"signed"[..]));

        let request = write_certificate_request_12(&[0x0403]);
        assert_eq!(parse_certificate_request_12(&request), Some(&[4, 3][..]));
        let numbers = [RecordNumber { epoch: 2, sequence: 9 }, RecordNumber { epoch: 3, sequence: 1 << 40 }];
        assert_eq!(parse_ack(&write_ack(&numbers)).unwrap().collect::<Vec<_>>(), numbers);
    }

    proptest! {
        #[test]
        fn fragments(kind: u8, seq: u16, offset in 0..5_000_usize, part in prop::collection::vec(any::<u8>(), 0..99)) {
            let len = offset + part.len() + 7;
            let bytes = [&header(kind, len, seq, offset, part.len())[..], &part].concat();
            let fragment = Fragment { kind, len, seq, offset, part: &part };
            prop_assert_eq!(Fragment::parse(&mut Reader(&bytes)), Some(fragment));
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = Fragment::parse(&mut Reader(&bytes));
            let _ = parse_certificate(&bytes, true);
            let _ = parse_certificate(&bytes, false);
            let _ = parse_signature(&mut Reader(&bytes));
            let _ = ServerKeyExchange::parse(&bytes);
            let _ = parse_certificate_request_12(&bytes);
            let _ = parse_hello_verify_request(&bytes);
            let _ = parse_ack(&bytes).map(Iterator::count);
        }
    }
}
