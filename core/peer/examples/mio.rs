//! A data channel echo in a loop over `mio`: readiness, and all that waits is read before anything is answered.
//!
//! Reads the peer's offer from standard input (SDP, to the end of input), prints the answer, and echoes every message
//! until the peer leaves.
//!
//! ```text
//! cargo run -p wigwag --example mio -- 127.0.0.1:0 < offer.sdp
//! ```
// The engine has neither clock nor sockets; a program has both.
#![allow(clippy::disallowed_types)]

use std::error::Error;
use std::io::{self, Read};
use std::time::{Duration, Instant as SystemInstant, SystemTime, UNIX_EPOCH};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use wigwag::transmit::MAX_BATCH_BYTES;
use wigwag::{
    ChannelId, Config, ConnectionState, Event, Input, Instant, Message, PeerConnection, Received, Route, SendError,
    SessionDescription, Transmit, TransmitBuffer, UdpPath, WallClock,
};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let mut socket = UdpSocket::bind(address)?;
    let local = socket.local_addr()?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE | Interest::WRITABLE)?;

    let start = SystemInstant::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as u64);
    let mut config = Config::new(seed()?);
    config.wall_clock = WallClock(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64);
    let mut connection = PeerConnection::new(config)?;
    connection.add_udp_socket(now(), local)?;

    let mut offer = String::new();
    io::stdin().read_to_string(&mut offer)?;
    connection.set_remote_description(now(), SessionDescription::offer(offer))?;
    println!("{}", connection.set_local_description_implicitly(now())?.sdp);

    let mut readiness = Events::with_capacity(8);
    let mut memory = vec![0; MAX_BATCH_BYTES];
    let mut out = TransmitBuffer::new(&mut memory, 64);
    let mut incoming = vec![0; 65_536];
    let mut unsent = None;
    let mut echo = Echo::default();
    // Sockets were handed in (`Gathering::Sockets`), so there are no requests to answer.
    loop {
        connection.handle_timeout(now());
        echo.run(&mut connection);
        send_all(&socket, &mut connection, now(), &mut out, &mut unsent)?;
        if echo.is_over {
            return Ok(());
        }

        // A socket that is full wakes us when it is writable.
        let wait = connection.poll_timeout().map_or(Duration::from_secs(60), |deadline| deadline - now());
        match poll.poll(&mut readiness, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        loop {
            match socket.recv_from(&mut incoming) {
                Ok((len, remote)) => {
                    let path = UdpPath { local, remote };
                    connection.handle_input(now(), Input::Datagrams(Received::one(path, &mut incoming[..len])));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sends what there is. What the socket does not take stays in `out`, from the datagram `unsent` on.
fn send_all(
    socket: &UdpSocket,
    connection: &mut PeerConnection,
    now: Instant,
    out: &mut TransmitBuffer<'_>,
    unsent: &mut Option<(Transmit, usize)>,
) -> io::Result<()> {
    while let Some((transmit, first)) = unsent.take().or_else(|| Some((connection.poll_transmit(now, out)?, 0))) {
        let Route::Udp(path) = transmit.route else { continue };
        let datagrams = out.bytes(&transmit).chunks(transmit.segment_size).enumerate().skip(first);
        for (index, datagram) in datagrams {
            match socket.send_to(datagram, path.remote) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *unsent = Some((transmit, index));
                    return Ok(());
                }
                // A candidate of the peer's may be nowhere that this host can send to: the checks will tell.
                Err(error) => eprintln!("to {}: {error}", path.remote),
                Ok(_) => {}
            }
        }
    }
    Ok(())
}

/// Every message goes back where it came from.
#[derive(Default)]
struct Echo {
    /// An echo that the engine had no room for. Until it has, no event is taken, and so the peer has to wait.
    waiting: Option<(ChannelId, Message)>,
    is_over: bool,
}

impl Echo {
    fn run(&mut self, connection: &mut PeerConnection) {
        loop {
            if let Some((channel, message)) = self.waiting.take()
                && connection.send(channel, message.clone()) == Err(SendError::Full)
            {
                self.waiting = Some((channel, message));
                return;
            }
            match connection.poll_event() {
                Some(Event::Message { channel, message }) => self.waiting = Some((channel, message)),
                Some(Event::ConnectionStateChange(state)) => {
                    eprintln!("{state}");
                    self.is_over |= matches!(state, ConnectionState::Closed | ConnectionState::Failed);
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// The engine has no randomness of its own.
fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}
