//! A peer that attacks: it speaks each protocol as it should up to a point, and then it does not.
//!
//! ```text
//!   ice     answers checks rightly, with errors, or not at all           written by hand
//!   dtls    a right peer: it carries what is below                       wigwag-dtls
//!   sctp    a handshake up to a stage, then any packet                   written by hand
//!   srtp    right keys, for any RTP and RTCP                             wigwag-rtp
//! ```
//!
//! [`Duel`] is a victim (a `PeerConnection` with its application) against an [`Adversary`]; [`Man`] is somebody on the path between two
//! honest ones, who holds, drops, repeats, changes and forges datagrams. Both stand on the simulated network, whose driver watches
//! that nobody hangs.

mod duel;
mod ice;
mod man;
pub mod record;
pub mod sctp;

use std::collections::VecDeque;

use wigwag::rtp::srtp::{SrtpProfile, SrtpSession};
use wigwag::{Input, Instant, Route, Transmit, TransmitBuffer, UdpPath, random};
use wigwag_dtls::{Certificate, Dtls, Event, Fingerprint, Role};
use wigwag_net::Machine;

pub use duel::{Attack, Duel, Node};
pub use ice::{Answers, Credentials, Ice};
pub use man::{Man, Plan, Seen};
pub use sctp::{Script, Stage};

/// Packets from the victim that are remembered, of each protocol.
const MAX_HEARD: usize = 4096;

/// The other end of the victim's connection.
pub struct Adversary {
    pub ice: Ice,
    pub dtls: Dtls,
    pub role: Role,
    pub script: Script,
    /// Once DTLS is up, if both have a profile.
    pub srtp: Option<SrtpSession>,
    /// From here to the victim.
    pub path: UdpPath,
    /// While false, its DTLS does not start.
    pub handshakes: bool,
    /// Datagrams to be sent.
    pub outbox: VecDeque<Vec<u8>>,
    /// The victim's packets of SCTP, RTP and RTCP, decrypted.
    pub heard: Vec<Vec<u8>>,
    pub rtp: Vec<Vec<u8>>,
    pub rtcp: Vec<Vec<u8>>,
    /// Datagrams and bytes that came.
    pub datagrams: u64,
    pub bytes: u64,
    pub dtls_events: Vec<Event>,
    has_started: bool,
}

impl Adversary {
    pub fn new(
        ice: Ice,
        certificate: Certificate,
        attack: &Attack,
        path: UdpPath,
        victims: Option<Fingerprint>,
        seed: u64,
    ) -> Self {
        let mut config = wigwag_dtls::Config::new(certificate, attack.provider);
        (config.versions, config.records_per_key) = (attack.versions, attack.records_per_key);
        let mut bytes = [0xAD; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut dtls = Dtls::new(config, random::seeded(bytes));
        dtls.set_remote_fingerprints(victims.into_iter().collect());
        Self {
            ice,
            dtls,
            role: attack.role,
            script: Script::new(attack.stage),
            srtp: None,
            path,
            handshakes: true,
            outbox: VecDeque::new(),
            heard: Vec::new(),
            rtp: Vec::new(),
            rtcp: Vec::new(),
            datagrams: 0,
            bytes: 0,
            dtls_events: Vec::new(),
            has_started: false,
        }
    }

    /// A datagram that carries this packet of SCTP.
    pub fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let overhead = self.dtls.overhead();
        let mut datagram = vec![0; packet.len() + overhead.total()];
        datagram[overhead.prefix..][..packet.len()].copy_from_slice(packet);
        let len = self.dtls.seal(&mut datagram, packet.len()).expect("the adversary's DTLS is up");
        datagram.truncate(len);
        datagram
    }

    /// A datagram that carries this packet of RTP or RTCP.
    pub fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut datagram = packet.to_vec();
        datagram.resize(packet.len() + 32, 0);
        let protector = &mut self.srtp.as_mut().expect("the adversary has keys").protector;
        let len = match wigwag::rtp::is_rtcp(packet) {
            true => protector.protect_rtcp(&mut datagram, packet.len()),
            false => protector.protect_rtp(&mut datagram, packet.len()),
        };
        datagram.truncate(len.expect("the adversary's packets can be protected"));
        datagram
    }

    /// Sends a packet of SCTP.
    pub fn say(&mut self, packet: &[u8]) {
        let datagram = self.seal(packet);
        self.outbox.push_back(datagram);
    }

    /// Forgets what it heard.
    pub fn forget(&mut self) {
        (self.heard, self.rtp, self.rtcp) = Default::default();
        self.script.heard = Vec::new();
    }

    fn hear(&mut self, now: Instant, path: UdpPath, datagram: &mut [u8]) {
        self.datagrams += 1;
        self.bytes += datagram.len() as u64;
        match datagram.first() {
            Some(0..=3) => {
                let said = self.ice.handle(path, datagram);
                self.outbox.extend(said);
                self.start(now);
            }
            Some(20..=63) => {
                let Self { dtls, script, heard, .. } = self;
                dtls.open(now, datagram, |packet| {
                    script.handle(packet);
                    if heard.len() < MAX_HEARD {
                        heard.push(packet.to_vec());
                    }
                });
            }
            Some(128..=191) => self.hear_media(datagram),
            _ => {}
        }
    }

    fn hear_media(&mut self, datagram: &mut [u8]) {
        let Some(srtp) = &mut self.srtp else { return };
        let is_rtcp = wigwag::rtp::is_rtcp(datagram);
        let (len, heard) = match is_rtcp {
            true => (srtp.unprotector.unprotect_rtcp(datagram), &mut self.rtcp),
            false => (srtp.unprotector.unprotect_rtp(datagram), &mut self.rtp),
        };
        if let Some(len) = len
            && heard.len() < MAX_HEARD
        {
            heard.push(datagram[..len].to_vec());
        }
    }

    fn start(&mut self, now: Instant) {
        if self.handshakes && !std::mem::replace(&mut self.has_started, true) {
            self.dtls.start(now, self.role);
        }
    }

    /// Draws the consequences: keys, and what the script wants to say.
    fn follow_up(&mut self) {
        while let Some(event) = self.dtls.poll_event() {
            if let Event::Connected { srtp: Some(keys), .. } = &event {
                let profile = match keys.profile {
                    wigwag_dtls::SrtpProfile::AeadAes256Gcm => SrtpProfile::AeadAes256Gcm,
                    wigwag_dtls::SrtpProfile::AeadAes128Gcm => SrtpProfile::AeadAes128Gcm,
                    _ => SrtpProfile::Aes128CmHmacSha1_80,
                };
                let client = (&*keys.client_key, &*keys.client_salt);
                let server = (&*keys.server_key, &*keys.server_salt);
                let (ours, theirs) = if self.role == Role::Client { (client, server) } else { (server, client) };
                self.srtp = SrtpSession::new(profile, ours, theirs, self.ice.provider).ok();
            }
            self.dtls_events.push(event);
        }
        if self.dtls.is_connected() {
            for packet in std::mem::take(&mut self.script.outbox) {
                self.say(&packet);
            }
        }
    }
}

impl Machine for Adversary {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if let Input::Datagrams(received) = input {
            let path = received.path;
            for datagram in received.datagrams() {
                self.hear(now, path, datagram);
            }
        }
        self.follow_up();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.follow_up();
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut TransmitBuffer<'_>) -> Option<Transmit> {
        self.follow_up();
        out.start();
        let room = out.segment(wigwag::transmit::MAX_BATCH_BYTES)?;
        let len = match self.dtls.write_packet(now, room) {
            Some(len) => len,
            None => {
                let datagram = self.outbox.pop_front()?;
                room[..datagram.len()].copy_from_slice(&datagram);
                datagram.len()
            }
        };
        out.push(len);
        out.finish(Route::Udp(self.path))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.dtls.poll_timeout()
    }
}
