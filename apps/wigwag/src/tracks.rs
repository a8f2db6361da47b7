//! Audio and video there and back: what a transceiver receives, it sends.

use wigwag_tokio::wigwag::rtp::PayloadType;
use wigwag_tokio::wigwag::{self, Splice};
use wigwag_tokio::{Direction, RtpOut, Transceiver};

/// Lets every transceiver send what it receives, as far as the peer wants it: to be called between the peer's offer and
/// our answer.
pub fn send_back(engine: &mut wigwag::PeerConnection) {
    let ids: Vec<_> = engine.transceivers().map(|transceiver| transceiver.id).collect();
    for id in ids {
        if let Err(error) = engine.set_direction(id, Direction::SendRecv) {
            tracing::trace!(%error, "one that was stopped sends nothing back");
        }
    }
}

/// Sends back what comes, packet by packet, and passes requests for key frames on, until the transceiver is stopped.
pub async fn echo(transceiver: Transceiver) {
    let packets = async {
        let mut splice = Splice::default();
        let mut clock: Option<(PayloadType, u32)> = None;
        while let Some(packet) = transceiver.read_rtp().await {
            // What a payload type means stays: it is looked up once.
            if clock.is_none_or(|(payload_type, _)| payload_type != packet.payload_type) {
                let codec = transceiver.info().and_then(|info| info.codec(packet.payload_type).cloned());
                clock = codec.map(|codec| (packet.payload_type, codec.clock_rate));
            }
            let Some((_, clock_rate)) = clock else { continue };
            let mut back = RtpOut::from(&packet);
            let Some(place) = splice.next(packet.arrival, &packet, clock_rate) else { continue };
            (back.sequence_number, back.timestamp) = place;
            // What can't be sent now is lost, as packets may be: the browser asks again, or for a key frame.
            if let Err(error) = transceiver.write_rtp(back) {
                tracing::trace!(%error, "a packet was not sent back");
            }
        }
    };
    let requests = async {
        while transceiver.key_frame_requested().await.is_some() {
            transceiver.request_key_frame(None);
        }
    };
    tokio::join!(packets, requests);
}
