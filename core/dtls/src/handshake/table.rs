//! The state machine of the handshake, as a table: what is awaited, which message may come then, and what is awaited next.
//!
//! [`step`](super::step) obeys it: a message for which there is no row ends the handshake, as does a handler that would go
//! where its row does not lead. The diagram in the crate's README is drawn from it, and a test compares the two.

use crate::wire::message::*;

/// What is awaited, without what is needed then. The number is the DTLS version, where both have such a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    AwaitServerHello,
    AwaitEncryptedExtensions,
    AwaitCertificateRequest13,
    AwaitServerCertificate13,
    AwaitServerProof13,
    AwaitServerFinished13,
    AwaitServerCertificate12,
    AwaitServerKeyExchange,
    AwaitCertificateRequest12,
    AwaitServerHelloDone,
    AwaitServerFinished12,
    AwaitClientHello,
    AwaitClientCertificate13,
    AwaitClientProof13,
    AwaitClientFinished13,
    AwaitClientCertificate12,
    AwaitClientKeyExchange,
    AwaitClientProof12,
    AwaitClientFinished12,
    Connected12,
    Connected13,
    Broken,
}

/// A message that may come.
#[derive(Debug)]
pub(crate) struct Row {
    pub from: Tag,
    /// The message's type.
    pub on: u8,
    pub to: &'static [Tag],
}

const fn row(from: Tag, on: u8, to: &'static [Tag]) -> Row {
    Row { from, on, to }
}

use Tag::*;

/// All that may happen.
pub(crate) const TABLE: &[Row] = &[
    // The client. A ServerHello may be a HelloRetryRequest.
    row(AwaitServerHello, HELLO_VERIFY_REQUEST, &[AwaitServerHello]),
    row(AwaitServerHello, SERVER_HELLO, &[AwaitServerHello, AwaitEncryptedExtensions, AwaitServerCertificate12]),
    row(AwaitEncryptedExtensions, ENCRYPTED_EXTENSIONS, &[AwaitCertificateRequest13]),
    row(AwaitCertificateRequest13, CERTIFICATE_REQUEST, &[AwaitServerCertificate13]),
    row(AwaitCertificateRequest13, CERTIFICATE, &[AwaitServerProof13]),
    row(AwaitServerCertificate13, CERTIFICATE, &[AwaitServerProof13]),
    row(AwaitServerProof13, CERTIFICATE_VERIFY, &[AwaitServerFinished13]),
    row(AwaitServerFinished13, FINISHED, &[Connected13]),
    row(AwaitServerCertificate12, CERTIFICATE, &[AwaitServerKeyExchange]),
    row(AwaitServerKeyExchange, SERVER_KEY_EXCHANGE, &[AwaitCertificateRequest12]),
    row(AwaitCertificateRequest12, CERTIFICATE_REQUEST, &[AwaitServerHelloDone]),
    row(AwaitCertificateRequest12, SERVER_HELLO_DONE, &[AwaitServerFinished12]),
    row(AwaitServerHelloDone, SERVER_HELLO_DONE, &[AwaitServerFinished12]),
    row(AwaitServerFinished12, FINISHED, &[Connected12]),
    // The server. It awaits a second ClientHello after a HelloRetryRequest.
    row(AwaitClientHello, CLIENT_HELLO, &[AwaitClientHello, AwaitClientCertificate13, AwaitClientCertificate12]),
    row(AwaitClientCertificate13, CERTIFICATE, &[AwaitClientProof13]),
    row(AwaitClientProof13, CERTIFICATE_VERIFY, &[AwaitClientFinished13]),
    row(AwaitClientFinished13, FINISHED, &[Connected13]),
    row(AwaitClientCertificate12, CERTIFICATE, &[AwaitClientKeyExchange]),
    row(AwaitClientKeyExchange, CLIENT_KEY_EXCHANGE, &[AwaitClientProof12]),
    row(AwaitClientProof12, CERTIFICATE_VERIFY, &[AwaitClientFinished12]),
    row(AwaitClientFinished12, FINISHED, &[Connected12]),
    // Both. In DTLS 1.2 nothing more may come: there is no renegotiation.
    row(Connected13, KEY_UPDATE, &[Connected13]),
    row(Connected13, NEW_SESSION_TICKET, &[Connected13]),
];

/// The row for a message.
pub(crate) fn find(from: Tag, on: u8) -> Option<&'static Row> {
    TABLE.iter().find(|row| (row.from, row.on) == (from, on))
}

impl Tag {
    /// The epoch that the awaited message must come in, or a later one.
    pub(crate) fn epoch(self) -> u64 {
        match self {
            AwaitServerHello | AwaitClientHello => 0,
            AwaitServerCertificate12 | AwaitServerKeyExchange | AwaitCertificateRequest12 | AwaitServerHelloDone => 0,
            AwaitClientCertificate12 | AwaitClientKeyExchange | AwaitClientProof12 => 0,
            AwaitServerFinished12 | AwaitClientFinished12 => 1,
            AwaitEncryptedExtensions | AwaitCertificateRequest13 | AwaitServerCertificate13 => 2,
            AwaitServerProof13 | AwaitServerFinished13 => 2,
            AwaitClientCertificate13 | AwaitClientProof13 | AwaitClientFinished13 => 2,
            Connected13 => 3,
            Connected12 | Broken => u64::MAX,
        }
    }

    /// For both versions.
    pub(crate) fn is_connected(self) -> bool {
        matches!(self, Connected12 | Connected13)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn name(message: u8) -> &'static str {
        match message {
            CLIENT_HELLO => "ClientHello",
            SERVER_HELLO => "ServerHello",
            HELLO_VERIFY_REQUEST => "HelloVerifyRequest",
            NEW_SESSION_TICKET => "NewSessionTicket",
            ENCRYPTED_EXTENSIONS => "EncryptedExtensions",
            CERTIFICATE => "Certificate",
            SERVER_KEY_EXCHANGE => "ServerKeyExchange",
            CERTIFICATE_REQUEST => "CertificateRequest",
            SERVER_HELLO_DONE => "ServerHelloDone",
            CERTIFICATE_VERIFY => "CertificateVerify",
            CLIENT_KEY_EXCHANGE => "ClientKeyExchange",
            FINISHED => "Finished",
            KEY_UPDATE => "KeyUpdate",
            other => panic!("{other}"),
        }
    }

    /// In the language of mermaid.
    fn draw() -> String {
        let mut diagram = "```mermaid\nstateDiagram-v2\n".to_owned();
        for start in ["AwaitServerHello: client", "AwaitClientHello: server"] {
            writeln!(diagram, "    [*] --> {start}").unwrap();
        }
        for row in TABLE {
            for to in row.to {
                writeln!(diagram, "    {:?} --> {to:?}: {}", row.from, name(row.on)).unwrap();
            }
        }
        diagram + "```\n"
    }

    #[test]
    fn the_documented_diagram_is_this_one() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&draw()), "in core/dtls/README.md must stand:\n{}", draw());
    }

    #[test]
    fn every_state_is_reached_and_left() {
        let mut reached = vec![AwaitServerHello, AwaitClientHello];
        while let Some(row) =
            TABLE.iter().find(|row| reached.contains(&row.from) && row.to.iter().any(|to| !reached.contains(to)))
        {
            reached.extend(row.to.iter().filter(|to| !reached.contains(to)).copied().collect::<Vec<_>>());
        }
        for row in TABLE {
            assert!(reached.contains(&row.from), "{:?}", row.from);
            let same = TABLE.iter().filter(|other| (other.from, other.on) == (row.from, row.on));
            assert_eq!(same.count(), 1);
            for to in row.to {
                assert!(*to == Connected12 || TABLE.iter().any(|row| row.from == *to), "{to:?} is a dead end");
            }
        }
    }
}
