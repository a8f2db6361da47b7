//! Ours, with its own defaults.

use std::cell::RefCell;

use ::wigwag::{
    Config, Direction, Event, Input, MediaKind, PeerConnection, Received, Route, RtpIn, RtpOut, SdpType,
    SessionDescription, TransceiverId, TransceiverInit, TransmitBuffer, UdpPath,
};
use bytes::BytesMut;

use super::{Connection, Outgoing, SERVER, client_address};
use crate::stack::Now;
use crate::stacks::wigwag::{BATCH_BYTES, BATCH_SEGMENTS, instant, seed};

pub struct Wigwag {
    pc: PeerConnection,
    path: UdpPath,
    sends: Option<TransceiverId>,
}

// A server's loop has one for all of its connections.
thread_local! {
    static MEMORY: RefCell<Vec<u8>> = RefCell::new(vec![0; BATCH_BYTES]);
}

impl Connection for Wigwag {
    const NAME: &'static str = "wigwag";
    type Packet = RtpIn;

    fn answer(n: usize, offer: &str, sends: bool) -> (Self, String) {
        let start = instant(Now::ZERO);
        let mut pc = PeerConnection::new(Config::new(seed())).expect("a connection");
        pc.add_udp_socket(start, SERVER).expect("an address");
        let init = TransceiverInit { direction: Direction::SendOnly, ..Default::default() };
        // The offer takes it.
        let sends = sends.then(|| match pc.add_track(MediaKind::Video, None, Vec::new()) {
            Ok(id) => pc.set_direction(id, init.direction).map(|()| id).expect("a new one"),
            Err(error) => panic!("{error}"),
        });
        let offer = SessionDescription { kind: SdpType::Offer, sdp: offer.to_owned() };
        pc.set_remote_description(start, offer).expect("an offer");
        let answer = pc.create_answer().expect("an answer");
        pc.set_local_description(start, answer.clone()).expect("an answer");
        let path = UdpPath { local: SERVER, remote: client_address(n) };
        (Self { pc, path, sends }, answer.sdp)
    }

    fn receive(&mut self, now: Now, mut datagram: BytesMut, _: &mut Outgoing<RtpIn>) {
        let segment_size = datagram.len();
        let received = Received { path: self.path, bytes: &mut datagram, segment_size, ecn: 0 };
        self.pc.handle_input(instant(now), Input::Datagrams(received));
    }

    fn handle_timeout(&mut self, now: Now, _: &mut Outgoing<RtpIn>) {
        self.pc.handle_timeout(instant(now));
    }

    fn forward(&mut self, now: Now, packet: &RtpIn, _: &mut Outgoing<RtpIn>) {
        let id = self.sends.expect("it sends");
        self.pc.write_rtp(instant(now), id, RtpOut::from(packet)).expect("connected");
    }

    fn poll(&mut self, now: Now, out: &mut Outgoing<RtpIn>) -> Option<Now> {
        while let Some(event) = self.pc.poll_event() {
            if let Event::Rtp { packet, .. } = event {
                out.packets.push(packet);
            }
        }
        MEMORY.with_borrow_mut(|memory| {
            let mut batch = TransmitBuffer::new(memory, BATCH_SEGMENTS);
            while let Some(transmit) = self.pc.poll_transmit(instant(now), &mut batch) {
                assert!(matches!(transmit.route, Route::Udp(path) if path == self.path));
                for datagram in batch.bytes(&transmit).chunks(transmit.segment_size) {
                    out.datagram(datagram);
                }
            }
        });
        self.pc.poll_timeout().map(|at| Now::from_micros(at.as_micros()))
    }

    fn is_ready(&self) -> bool {
        self.pc.srtp_profile().is_some()
    }
}
