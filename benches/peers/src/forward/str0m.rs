//! `str0m` in RTP mode.

use std::time::Instant;

use ::str0m::change::SdpOffer;
use ::str0m::media::Mid;
use ::str0m::net::{Protocol, Receive};
use ::str0m::rtp::{RtpPacket, RtpWrite};
use ::str0m::{Candidate, Event, Input, Output, Rtc};
use bytes::BytesMut;

use super::{Connection, Outgoing, SERVER, client_address};
use crate::stack::Now;

pub struct Str0m {
    rtc: Rtc,
    start: Instant,
    n: usize,
    mid: Option<Mid>,
    connected: bool,
    deadline: Option<Now>,
}

impl Str0m {
    fn drain(&mut self, out: &mut Outgoing<RtpPacket>) {
        loop {
            match self.rtc.poll_output().expect("an output") {
                Output::Transmit(transmit) => out.datagram(&transmit.contents),
                Output::Event(Event::RtpPacket(packet)) => out.packets.push(packet),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::MediaAdded(added)) => self.mid = Some(added.mid),
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    self.deadline = Some(at.saturating_duration_since(self.start));
                    return;
                }
            }
        }
    }
}

impl Connection for Str0m {
    const NAME: &'static str = "str0m";
    type Packet = RtpPacket;

    fn answer(n: usize, offer: &str, _sends: bool) -> (Self, String) {
        let start = Instant::now();
        let config = crate::stacks::str0m::config().set_rtp_mode(true).clear_codecs().enable_vp8(true);
        let mut rtc = config.build(start);
        rtc.add_local_candidate(Candidate::host(SERVER, "udp").expect("a host candidate")).expect("a new candidate");
        let offer = SdpOffer::from_sdp_string(offer).expect("an offer");
        let answer = rtc.sdp_api().accept_offer(offer).expect("an answer");
        (Self { rtc, start, n, mid: None, connected: false, deadline: None }, answer.to_sdp_string())
    }

    fn receive(&mut self, now: Now, datagram: BytesMut, out: &mut Outgoing<RtpPacket>) {
        let contents = datagram[..].try_into().expect("a datagram of a known kind");
        let (source, destination) = (client_address(self.n), SERVER);
        let receive = Receive { proto: Protocol::Udp, source, destination, contents };
        self.rtc.handle_input(Input::Receive(self.start + now, receive)).expect("an input");
        self.drain(out);
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Outgoing<RtpPacket>) {
        self.rtc.handle_input(Input::Timeout(self.start + now)).expect("an input");
        self.drain(out);
    }

    // What was written leaves with the next passing of time, so that comes at once, and only then the draining.
    fn forward(&mut self, now: Now, packet: &RtpPacket, out: &mut Outgoing<RtpPacket>) {
        let header = &packet.header;
        let write = RtpWrite::new(
            header.payload_type,
            packet.seq_no,
            header.timestamp,
            packet.timestamp,
            packet.payload.clone(),
        );
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(self.mid.expect("media"), None).expect("it sends");
        stream.write_rtp(write.marker(header.marker).ext_vals(header.ext_vals.clone()).nackable(true));
        self.handle_timeout(now, out);
    }

    fn poll(&mut self, _now: Now, _: &mut Outgoing<RtpPacket>) -> Option<Now> {
        // It was drained after every change.
        self.deadline
    }

    fn is_ready(&self) -> bool {
        self.connected && self.mid.is_some()
    }
}
