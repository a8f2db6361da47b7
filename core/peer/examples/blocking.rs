//! A data channel echo in a blocking loop over `std::net::UdpSocket`: one thread, one socket, one connection.
//!
//! Reads the peer's offer from standard input (SDP, to the end of input), prints the answer, and echoes every message
//! until the peer leaves.
//!
//! ```text
//! cargo run -p wigwag --example blocking -- 127.0.0.1:0 < offer.sdp
//! ```
// The engine has neither clock nor sockets; a program has both.
#![allow(clippy::disallowed_types)]

use std::error::Error;
use std::io::{self, Read};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant as SystemInstant, SystemTime, UNIX_EPOCH};

use wigwag::transmit::MAX_BATCH_BYTES;
use wigwag::{
    Answer, ChannelId, Config, ConnectionState, Event, Input, Instant, Message, PeerConnection, Received, Refused,
    Request, Route, SendError, SessionDescription, TransmitBuffer, UdpPath, WallClock,
};

fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let socket = UdpSocket::bind(address)?;
    let local = socket.local_addr()?;

    // The engine has no clock: microseconds since the start are as good as any.
    let start = SystemInstant::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as u64);

    let mut config = Config::new(seed()?);
    config.wall_clock = WallClock(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64);
    let mut connection = PeerConnection::new(config)?;
    connection.add_udp_socket(now(), local)?;

    let mut offer = String::new();
    io::stdin().read_to_string(&mut offer)?;
    connection.set_remote_description(now(), SessionDescription::offer(offer))?;
    let answer = connection.set_local_description_implicitly(now())?;
    println!("{}", answer.sdp);

    let mut memory = vec![0; MAX_BATCH_BYTES];
    let mut incoming = vec![0; 65_536];
    let mut waiting = None;
    loop {
        // Timers first, then what they and the last datagrams led to.
        connection.handle_timeout(now());
        while let Some(request) = connection.poll_request() {
            if let Some(answer) = refuse(request) {
                connection.handle_input(now(), Input::Answer(answer));
            }
        }
        if echo(&mut connection, &mut waiting) {
            return Ok(());
        }
        let mut out = TransmitBuffer::new(&mut memory, 64);
        while let Some(transmit) = connection.poll_transmit(now(), &mut out) {
            let Route::Udp(path) = transmit.route else { continue };
            for datagram in out.bytes(&transmit).chunks(transmit.segment_size) {
                // A candidate of the peer's may be nowhere that this host can send to: the checks will tell.
                if let Err(error) = socket.send_to(datagram, path.remote) {
                    eprintln!("to {}: {error}", path.remote);
                }
            }
        }

        // Then wait: for a datagram, or for the time that the engine asked for.
        let wait = connection.poll_timeout().map_or(Duration::from_secs(60), |deadline| deadline - now());
        if wait.is_zero() {
            continue;
        }
        socket.set_read_timeout(Some(wait))?;
        match socket.recv_from(&mut incoming) {
            Ok((len, remote)) => {
                let path = UdpPath { local, remote };
                connection.handle_input(now(), Input::Datagrams(Received::one(path, &mut incoming[..len])));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Every message goes back where it came from. An echo that the engine has no room for stays in `waiting`; until it has,
/// no event is taken, and so the peer has to wait. Says whether the connection is over.
fn echo(connection: &mut PeerConnection, waiting: &mut Option<(ChannelId, Message)>) -> bool {
    loop {
        if let Some((channel, message)) = waiting.take()
            && connection.send(channel, message.clone()) == Err(SendError::Full)
        {
            *waiting = Some((channel, message));
            return false;
        }
        match connection.poll_event() {
            Some(Event::Message { channel, message }) => *waiting = Some((channel, message)),
            Some(Event::ConnectionStateChange(state)) => {
                eprintln!("{state}");
                if matches!(state, ConnectionState::Closed | ConnectionState::Failed) {
                    return true;
                }
            }
            Some(_) => {}
            None => return false,
        }
    }
}

/// This program has the one socket that it handed in; everything else that the engine could wish for is refused.
fn refuse(request: Request) -> Option<Answer> {
    let reason = Refused::Unsupported;
    match request {
        Request::BindUdp(request) => Some(request.failed(reason)),
        Request::ListenTcp(request) => Some(request.failed(reason)),
        Request::OpenStream(request) => Some(request.failed(reason)),
        Request::ResolveName(request) => Some(request.failed(reason)),
        Request::JoinMulticast(request) => Some(request.failed(reason)),
        Request::WatchInterfaces(request) => Some(request.failed(reason)),
        Request::CloseUdp(_) | Request::CloseListener(_) | Request::CloseStream(_) => None,
    }
}

/// The engine has no randomness either.
fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}
