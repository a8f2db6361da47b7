//! `str0m`, with its own defaults: aws-lc-rs, DTLS 1.2, SCTP by `sctp-proto`.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ::str0m::change::SdpOffer;
use ::str0m::channel::ChannelId;
use ::str0m::config::{CryptoProvider, DtlsCert};
use ::str0m::net::{Protocol, Receive};
use ::str0m::{Candidate, Event, Input, Output, RtcConfig};
use bytes::Bytes;

use crate::stack::{ADDRESSES, Now, Settings, Sink, Stack};

/// One end. It must be polled dry after every change, so every verb does that, except for sending: a row of messages
/// is written before it is polled, as from within its loop, which lets it put many of them into a packet.
pub struct Str0m {
    rtc: ::str0m::Rtc,
    start: Instant,
    local: usize,
    channel: Option<ChannelId>,
    deadline: Option<Now>,
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(::str0m::crypto::from_feature_flags())).clone()
}

/// The defaults, and the one provider of cryptography that is compiled in.
pub fn config() -> RtcConfig {
    RtcConfig::new().set_crypto_provider(provider())
}

impl Str0m {
    fn new(local: usize, start: Instant, certificate: Option<DtlsCert>, settings: &Settings) -> Self {
        let mut config = config();
        if let Some(certificate) = certificate {
            config = config.set_dtls_cert(certificate);
        }
        // A message that is larger than the buffer is never taken.
        let buffer = settings.send_buffer.unwrap_or(config.sctp_max_buffered_amount());
        config = config.set_sctp_max_buffered_amount(buffer.max(settings.message_size));
        let mut rtc = config.build(start);
        let candidate = Candidate::host(ADDRESSES[local], "udp").expect("a host candidate");
        rtc.add_local_candidate(candidate).expect("a new candidate");
        Str0m { rtc, start, local, channel: None, deadline: None }
    }

    fn drain(&mut self, sink: &mut Sink<Vec<u8>>) {
        loop {
            match self.rtc.poll_output().expect("an output") {
                Output::Transmit(transmit) => sink.datagrams.push_back(transmit.contents.into()),
                Output::Event(Event::ChannelData(data)) => sink.message(&data.data),
                Output::Event(Event::ChannelOpen(id, _)) => self.channel = Some(id),
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    self.deadline = Some(at.saturating_duration_since(self.start));
                    return;
                }
            }
        }
    }
}

impl Stack for Str0m {
    const NAME: &'static str = "str0m";
    type Certificate = DtlsCert;
    type Datagram = Vec<u8>;

    // The default is 128 KiB. All that is in flight is walked at every poll, so the less the faster, in memory.
    const FASTEST_SEND_BUFFER: Option<usize> = Some(16 << 10);

    fn certificate() -> DtlsCert {
        provider().dtls_provider.generate_certificate().expect("a certificate")
    }

    fn pair(certificates: Option<[DtlsCert; 2]>, settings: &Settings) -> [Self; 2] {
        let start = Instant::now();
        let [first, second] = certificates.map_or([None, None], |pair| pair.map(Some));
        let mut offerer = Str0m::new(0, start, first, settings);
        let mut answerer = Str0m::new(1, start, second, settings);
        let mut change = offerer.rtc.sdp_api();
        change.add_channel("bench".into());
        let (offer, pending) = change.apply().expect("an offer");
        let offer = SdpOffer::from_sdp_string(&offer.to_sdp_string()).expect("an offer");
        let answer = answerer.rtc.sdp_api().accept_offer(offer).expect("an answer");
        let answer = ::str0m::change::SdpAnswer::from_sdp_string(&answer.to_sdp_string()).expect("an answer");
        offerer.rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
        [offerer, answerer]
    }

    fn handle_datagram(&mut self, now: Now, datagram: Vec<u8>, sink: &mut Sink<Vec<u8>>) {
        let receive = Receive {
            proto: Protocol::Udp,
            source: ADDRESSES[1 - self.local],
            destination: ADDRESSES[self.local],
            contents: datagram.as_slice().try_into().expect("a datagram of a known kind"),
        };
        self.rtc.handle_input(Input::Receive(self.start + now, receive)).expect("an input");
        self.drain(sink);
    }

    fn handle_timeout(&mut self, now: Now, sink: &mut Sink<Vec<u8>>) {
        self.rtc.handle_input(Input::Timeout(self.start + now)).expect("an input");
        self.drain(sink);
    }

    fn send(&mut self, _now: Now, message: &Bytes, _: &mut Sink<Vec<u8>>) -> bool {
        let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) else { return false };
        channel.write(true, message).expect("an open channel")
    }

    fn poll(&mut self, _now: Now, sink: &mut Sink<Vec<u8>>) -> Option<Now> {
        self.drain(sink);
        self.deadline
    }

    fn is_open(&self) -> bool {
        self.channel.is_some()
    }

    fn bytes(datagram: &Vec<u8>) -> u64 {
        datagram.len() as u64
    }
}
