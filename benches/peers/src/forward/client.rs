//! The clients: `str0m` in RTP mode, whichever the server is. Never measured.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::{SERVER, client_address};
use crate::stack::Now;

/// One client: it publishes, or it receives what was published.
pub struct Client {
    rtc: Rtc,
    start: Instant,
    address: SocketAddr,
    mid: Mid,
    pending: Option<SdpPendingOffer>,
    deadline: Now,
    connected: bool,
    payload: Bytes,
    /// What it sent and nobody took yet.
    pub datagrams: Vec<BytesMut>,
    /// RTP packets that arrived, each with the payload that was published.
    pub received: u64,
}

impl Client {
    /// Client `n`, and its offer.
    pub fn new(n: usize, publishes: bool, payload: Bytes) -> (Self, String) {
        let start = Instant::now();
        let config = crate::stacks::str0m::config().set_rtp_mode(true).clear_codecs().enable_vp8(true);
        let mut rtc = config.build(start);
        let address = client_address(n);
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a host candidate")).expect("a new candidate");
        let direction = if publishes { Direction::SendOnly } else { Direction::RecvOnly };
        let mut change = rtc.sdp_api();
        let mid = change.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = change.apply().expect("an offer");
        let (datagrams, deadline) = (Vec::new(), Now::ZERO);
        let pending = Some(pending);
        let client =
            Self { rtc, start, address, mid, pending, deadline, connected: false, payload, datagrams, received: 0 };
        (client, offer.to_sdp_string())
    }

    /// The server's answer.
    pub fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer");
        let pending = self.pending.take().expect("one answer");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
        self.drain();
    }

    /// Publishes a packet.
    pub fn publish(&mut self, now: Now, number: u64, timestamp: u32, marker: bool) {
        let wallclock = self.start + now;
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(self.mid, None).expect("it sends");
        let packet = RtpWrite::new(96.into(), number.into(), timestamp, wallclock, &self.payload[..]);
        stream.write_rtp(packet.marker(marker).nackable(true));
        self.handle_timeout(now);
    }

    /// A datagram of the server arrived.
    pub fn receive(&mut self, now: Now, datagram: &[u8]) {
        let contents = datagram.try_into().expect("a datagram of a known kind");
        let receive = Receive { proto: Protocol::Udp, source: SERVER, destination: self.address, contents };
        self.rtc.handle_input(Input::Receive(self.start + now, receive)).expect("an input");
        self.drain();
    }

    /// Time passes.
    pub fn at(&mut self, now: Now) {
        if self.deadline <= now {
            self.handle_timeout(now);
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.rtc.handle_input(Input::Timeout(self.start + now)).expect("an input");
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().expect("an output") {
                Output::Transmit(transmit) => self.datagrams.push(BytesMut::from(&transmit.contents[..])),
                Output::Event(Event::RtpPacket(packet)) => {
                    assert_eq!(packet.payload[..], self.payload[..], "a packet arrived broken");
                    self.received += 1;
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    self.deadline = at.saturating_duration_since(self.start);
                    return;
                }
            }
        }
    }

    /// Whether DTLS is there.
    pub fn is_connected(&self) -> bool {
        self.connected
    }
}
