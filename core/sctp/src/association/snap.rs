//! An association without a handshake: the INITs travel in the descriptions. SNAP, draft-hancke-tsvwg-snap.
//!
//! Each side puts the INIT that it would send into its offer or answer (`a=sctp-init`). Who has both knows all that the four packets would
//! have told: tags, first TSNs, windows, extensions. Cookies defend against strangers, and DTLS has already kept these out. So data leaves
//! with the first packet, where the handshake would have cost up to two round trips.
//!
//! Descriptions pass through other hands, and an answer may lose a line that it had. Then one side believes that the association is up,
//! and the other sends an INIT. Until the first packet that only an association could have sent, such an INIT is answered as if nothing
//! had been agreed: with the tag and the TSN that we signalled, so that one association comes of it, and what was sent is sent again.

use super::{Association, Phase};
use crate::InvalidInit;
use crate::packet::chunk::INIT;
use crate::packet::init::Init;
use crate::packet::{CHUNK_HEADER, Chunks};

/// Longer than any INIT that there is.
const MAX_INIT: usize = 1024;

impl Association {
    /// Our INIT, for the description: the chunk with its header. The same as long as the association lives.
    pub fn local_init_chunk(&self) -> Vec<u8> {
        let value = self.local_init().to_value(None, &[]);
        let mut chunk = Vec::with_capacity(CHUNK_HEADER + value.len());
        chunk.extend_from_slice(&[INIT, 0]);
        chunk.extend_from_slice(&((CHUNK_HEADER + value.len()) as u16).to_be_bytes());
        chunk.extend_from_slice(&value);
        chunk
    }

    /// The peer's INIT came with its description, and ours went with ours: [`connect`](Self::connect) needs no handshake then. To be called
    /// before; later it changes nothing. Never to be called if the peer was not told ours.
    ///
    /// # Errors
    /// When it is no INIT, or one that could not be accepted. Without it, there is a handshake.
    pub fn set_remote_init_chunk(&mut self, chunk: &[u8]) -> Result<(), InvalidInit> {
        let chunk = Some(chunk).filter(|chunk| chunk.len() <= MAX_INIT).ok_or(InvalidInit)?;
        let mut chunks = Chunks(chunk);
        let init = chunks.next().filter(|chunk| chunk.kind == INIT && chunks.is_spent()).ok_or(InvalidInit)?;
        let received = Init::parse(init.value).ok_or(InvalidInit)?;
        if self.phase == Phase::New {
            self.remote_init = Some(received.init);
        }
        Ok(())
    }

    /// Whether the association came up, or will, without a handshake.
    pub fn skips_handshake(&self) -> bool {
        self.remote_init.is_some() || self.skipped_handshake
    }

    pub(super) fn skip_handshake(&mut self, init: Init) {
        self.meet(init, Vec::new());
        self.phase = Phase::CookieEchoed;
        self.establish();
        (self.unproven, self.skipped_handshake) = (true, true);
        // The handshake would have measured the round trip, and would have made who has nothing to say speak: the peer may wait for that
        // as a sign that its last flight of DTLS arrived.
        self.heartbeat_is_due(self.now);
    }
}
