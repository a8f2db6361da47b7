//! Audio and video there and back: what a transceiver receives, it sends.

use wigwag_tokio::wigwag::Splice;
use wigwag_tokio::{Direction, RtpOut, Transceiver, TransceiverError};

/// Lets every transceiver send what it receives, as far as the peer wants it: to be called between the peer's offer and
/// our answer.
pub fn send_back(transceivers: &[Transceiver]) -> Result<(), TransceiverError> {
    let is_usable = |transceiver: &&Transceiver| transceiver.info().is_some_and(|info| !info.is_stopped);
    transceivers.iter().filter(is_usable).try_for_each(|transceiver| transceiver.set_direction(Direction::SendRecv))
}

/// Sends back what comes, packet by packet, and passes requests for key frames on, until the transceiver is stopped.
pub async fn echo(transceiver: Transceiver) {
    let packets = async {
        let mut splice = Splice::default();
        while let Some(packet) = transceiver.read_rtp().await {
            let codec = transceiver.info().and_then(|info| info.codec(packet.payload_type).cloned());
            let Some(codec) = codec else { continue };
            let mut back = RtpOut::from(&packet);
            let Some(place) = splice.next(packet.arrival, &packet, codec.clock_rate) else { continue };
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
