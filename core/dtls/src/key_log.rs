//! Secrets for Wireshark, in the format of `SSLKEYLOGFILE`. RFC 9850.

use std::fmt::{self, Write};
use std::sync::Arc;

use zeroize::Zeroizing;

/// Where the secrets of connections go, for whoever may read all that they say: Wireshark, while something is debugged.
///
/// The callback gets one line after the other, without the line's end, as the secrets come to be: `CLIENT_RANDOM ...` in
/// DTLS 1.2; in DTLS 1.3 `CLIENT_HANDSHAKE_TRAFFIC_SECRET`, `SERVER_HANDSHAKE_TRAFFIC_SECRET`,
/// `CLIENT_TRAFFIC_SECRET_0`, `SERVER_TRAFFIC_SECRET_0` and `EXPORTER_SECRET` (the keys for SRTP come from that). It is
/// called inside of the connection's verbs, so it should not wait.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use wigwag_dtls::KeyLog;
///
/// let lines = Arc::new(Mutex::new(String::new()));
/// let key_log = KeyLog::new({
///     let lines = lines.clone();
///     move |line| lines.lock().unwrap().extend([line, "\n"])
/// });
/// // config.key_log = Some(key_log);
/// ```
#[derive(Clone)]
pub struct KeyLog(Arc<dyn Fn(&str) + Send + Sync>);

impl KeyLog {
    /// `log` gets each line, without its end.
    pub fn new(log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(log))
    }

    /// "label, client_random, secret", in lower-case hexadecimal digits. RFC 9850 section 2.
    pub(crate) fn log(&self, label: &str, client_random: &[u8; 32], secret: &[u8]) {
        let mut line =
            Zeroizing::new(String::with_capacity(label.len() + 2 * (client_random.len() + secret.len()) + 2));
        line.push_str(label);
        for part in [&client_random[..], secret] {
            line.push(' ');
            for byte in part {
                // A String takes all that is written.
                let _ = write!(line, "{byte:02x}");
            }
        }
        (self.0)(&line);
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLog")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use wigwag_crypto::{Aead, Digest, Hash, default_provider};
    use wigwag_proto::{Instant, WallClock, random};

    use super::*;
    use crate::record::{APPLICATION_DATA, Opened, Records, first_record};
    use crate::schedule::Suite;
    use crate::{Certificate, Config, Dtls, Event, Role, Versions};

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// Whoever has the secrets of DTLS 1.3 reads what both ends say.
    #[test]
    fn the_secrets_are_those_of_the_connection() {
        let log = Arc::new(Mutex::new(Vec::<String>::new()));
        let mut ends = [1, 2].map(|seed| {
            let mut random = random::seeded([seed; 32]);
            let certificate = Certificate::generate(default_provider(), &mut random, WallClock(1)).unwrap();
            let mut config = Config::new(certificate, default_provider());
            config.versions = Versions::Dtls13;
            let lines = Arc::clone(&log);
            config.key_log = Some(KeyLog::new(move |line| lines.lock().unwrap().push(line.to_owned())));
            Dtls::new(config, random)
        });
        let prints = ends.each_ref().map(|end| end.certificate().fingerprint());
        let (now, mut datagram) = (Instant(0), [0; 1500]);
        for (side, role) in [(0, Role::Client), (1, Role::Server)] {
            ends[side].set_remote_fingerprints(vec![prints[1 - side].clone()]);
            ends[side].start(now, role);
        }
        while let Some(side) = (0..2).find(|side| ends[*side].can_transmit()) {
            let len = ends[side].write_packet(now, &mut datagram).unwrap();
            ends[1 - side].open(now, &mut datagram[..len], |_| ());
        }
        assert!(ends.iter_mut().all(|end| matches!(end.poll_event(), Some(Event::Connected { .. }))));

        let lines = log.lock().unwrap();
        let secrets: BTreeMap<&str, Vec<u8>> = lines
            .iter()
            .map(|line| (line.split(' ').next().unwrap(), bytes(line.split(' ').next_back().unwrap())))
            .collect();
        assert_eq!((lines.len(), secrets.len()), (10, 5), "both ends have logged the same: {lines:?}");
        let suite = Suite { aead: Aead::Aes128Gcm, hash: Hash::Sha256 };
        for (end, label) in ends.iter_mut().zip(["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"]) {
            let mut reader = Records::default();
            reader.read_from(default_provider(), 3, suite, &Digest::new(&secrets[label])).unwrap();
            let prefix = end.overhead().prefix;
            datagram[prefix..prefix + 5].copy_from_slice(b"hello");
            let len = end.seal(&mut datagram, 5).unwrap();
            let (header, _) = first_record(&datagram[..len]).unwrap();
            let Opened::Protected { content_type, body, .. } = reader.open(header, &mut datagram[..len]) else {
                panic!()
            };
            assert_eq!((content_type, &*body), (APPLICATION_DATA, &b"hello"[..]));
        }
    }
}
