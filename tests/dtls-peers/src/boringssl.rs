//! BoringSSL's end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;

use boring::ssl::{
    ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslContextBuilder, SslMethod, SslRef, SslStream,
    SslVerifyMode, SslVersion,
};
use foreign_types::ForeignTypeRef;
use wigwag_dtls::{PostQuantum, Version};

use crate::TIMEOUT;
use crate::identity::Identity;

/// What is negotiated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The one version that they speak.
    pub version: Version,
    /// Their groups, in their names; their defaults, if there are none.
    pub groups: Option<&'static str>,
    /// Their cipher suites of DTLS 1.2.
    pub ciphers: Option<&'static str>,
    /// Of both.
    pub mtu: usize,
    /// Of ours.
    pub post_quantum: PostQuantum,
    pub records_per_key: Option<u64>,
}

impl Options {
    pub fn new(version: Version) -> Self {
        Self {
            version,
            groups: None,
            ciphers: None,
            mtu: 1200,
            post_quantum: PostQuantum::Accept,
            records_per_key: None,
        }
    }
}

/// Datagrams in memory: each read is one, as each write is.
#[derive(Clone, Default)]
struct Socket(Rc<RefCell<(VecDeque<Vec<u8>>, Vec<Vec<u8>>)>>);

impl Read for Socket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let datagram = self.0.borrow_mut().0.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let len = datagram.len().min(room.len());
        room[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Socket {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().1.push(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum State {
    Handshake(Box<MidHandshakeSslStream<Socket>>),
    Connected(Box<SslStream<Socket>>),
    Failed(String),
}

/// See [the module](self).
pub struct Theirs {
    state: State,
    socket: Socket,
    /// Payloads that came.
    pub received: Vec<Vec<u8>>,
}

impl Theirs {
    pub(crate) fn new(is_client: bool, identity: &Identity, options: &Options) -> Self {
        let mut context = SslContextBuilder::new(SslMethod::dtls()).unwrap();
        let version = match options.version {
            Version::Dtls12 => SslVersion::DTLS1_2,
            Version::Dtls13 => SslVersion::DTLS1_3,
        };
        context.set_min_proto_version(Some(version)).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        context.set_certificate(&identity.x509).unwrap();
        context.set_private_key(&identity.key).unwrap();
        // As in WebRTC: any certificate, but one. Whether it is the right one is seen to by ours here.
        context.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
        context.set_tlsext_use_srtp("SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80").unwrap();
        if let Some(groups) = options.groups {
            context.set_curves_list(groups).unwrap();
        }
        if let Some(ciphers) = options.ciphers {
            context.set_cipher_list(ciphers).unwrap();
        }
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_mtu(options.mtu as u32).unwrap();
        // SAFETY: the pointer is that of a live object, and the call keeps nothing.
        unsafe { boring_sys::DTLSv1_set_initial_timeout_duration(ssl.as_ptr(), TIMEOUT.as_millis() as u32) };
        let socket = Socket::default();
        let stream = match is_client {
            true => ssl.setup_connect(socket.clone()),
            false => ssl.setup_accept(socket.clone()),
        };
        Self { state: State::Handshake(Box::new(stream)), socket, received: Vec::new() }
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    pub fn failure(&self) -> Option<&str> {
        match &self.state {
            State::Failed(why) => Some(why),
            _ => None,
        }
    }

    pub(crate) fn give(&mut self, datagram: Vec<u8>) {
        self.socket.0.borrow_mut().0.push_back(datagram);
    }

    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.socket.0.borrow_mut().1)
    }

    /// Reads what came, and looks at the clock.
    pub(crate) fn advance(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Failed("a panic".into()));
        self.state = match state {
            State::Handshake(stream) => {
                look_at_the_clock(stream.ssl());
                match stream.handshake() {
                    Ok(stream) => State::Connected(Box::new(stream)),
                    Err(HandshakeError::WouldBlock(stream)) => State::Handshake(Box::new(stream)),
                    Err(HandshakeError::Failure(stream)) => State::Failed(format!("{:?}", stream.error())),
                    Err(HandshakeError::SetupFailure(error)) => State::Failed(error.to_string()),
                }
            }
            State::Connected(mut stream) => {
                look_at_the_clock(stream.ssl());
                let mut room = [0; 20_000];
                loop {
                    match stream.ssl_read(&mut room) {
                        Ok(len) => self.received.push(room[..len].to_vec()),
                        Err(error) if error.code() == ErrorCode::WANT_READ => break State::Connected(stream),
                        Err(error) if error.code() == ErrorCode::ZERO_RETURN => break State::Failed("closed".into()),
                        Err(error) => break State::Failed(error.to_string()),
                    }
                }
            }
            State::Failed(why) => State::Failed(why),
        };
    }

    fn stream(&mut self) -> &mut SslStream<Socket> {
        match &mut self.state {
            State::Connected(stream) => stream,
            State::Handshake(_) => panic!("not connected yet"),
            State::Failed(why) => panic!("not connected: {why}"),
        }
    }

    pub fn send(&mut self, payload: &[u8]) {
        assert_eq!(self.stream().ssl_write(payload).unwrap(), payload.len());
    }

    /// The group that was agreed on, by its number.
    pub fn group(&mut self) -> u16 {
        self.stream().ssl().curve().unwrap()
    }

    /// What goes into SRTP.
    pub fn export(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.stream().ssl().export_keying_material(&mut out, "EXTRACTOR-dtls_srtp", None).unwrap();
        out
    }

    /// Changes their key, and asks for another of ours.
    pub fn update_keys(&mut self) {
        let ssl = self.stream().ssl().as_ptr();
        // SAFETY: the pointer is that of a live object, and the call keeps nothing.
        let done = unsafe { boring_sys::SSL_key_update(ssl, boring_sys::SSL_KEY_UPDATE_REQUESTED as _) };
        assert_eq!(done, 1);
    }

    pub fn close(&mut self) {
        self.stream().shutdown().unwrap();
    }
}

fn look_at_the_clock(ssl: &SslRef) {
    // SAFETY: the pointer is that of a live object, and the call keeps nothing.
    unsafe { boring_sys::DTLSv1_handle_timeout(ssl.as_ptr()) };
}
