//! A UDP socket with GSO, GRO and ECN.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use wigwag::{Received, Transmit, UdpPath};

/// Buffers for one system call; each holds what GRO may join.
const BATCH: usize = 8;
const BUFFER: usize = 64 << 10;
/// What the kernel is asked to hold for us: some 10 ms at 1 Gbit/s. It may give less.
const KERNEL_BUFFER: usize = 2 << 20;

#[derive(Debug)]
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    pub local: SocketAddr,
    /// Wakes the task that receives, to end it.
    closed: Notify,
}

impl Socket {
    /// A socket on `local`; on a port of `ports` if `local` leaves it open.
    pub fn bind(local: SocketAddr, ports: Option<RangeInclusive<u16>>) -> io::Result<Arc<Self>> {
        let io = match ports {
            Some(ports) if local.port() == 0 => ports
                .map(|port| bind_one(SocketAddr::new(local.ip(), port)))
                .find(|result| result.as_ref().map_or_else(|error| error.kind() != io::ErrorKind::AddrInUse, |_| true))
                .unwrap_or_else(|| Err(io::ErrorKind::AddrInUse.into())),
            _ => bind_one(local),
        }?;
        let local = io.local_addr()?;
        Self::of_group(io, local)
    }

    /// One that is bound, and known as `local`: a multicast socket is bound to all addresses, and belongs to one.
    pub fn of_group(io: std::net::UdpSocket, local: SocketAddr) -> io::Result<Arc<Self>> {
        let state = UdpSocketState::new((&io).into())?;
        let io = UdpSocket::from_std(io)?;
        Ok(Arc::new(Self { io, state, local, closed: Notify::new() }))
    }

    /// How many datagrams one call may send.
    pub fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends a batch; `WouldBlock` if the kernel has no room.
    pub fn send(&self, transmit: &Transmit, path: UdpPath, bytes: &[u8]) -> io::Result<()> {
        let batch = quinn_udp::Transmit {
            destination: path.remote,
            ecn: EcnCodepoint::from_bits(transmit.ecn),
            contents: bytes,
            segment_size: (transmit.segment_size < bytes.len()).then_some(transmit.segment_size),
            src_ip: None,
        };
        self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &batch))
    }

    /// Hands each buffer that is there to `handle`; `false` when there was none.
    pub fn receive(&self, buffers: &mut ReceiveBuffers, mut handle: impl FnMut(Received<'_>)) -> io::Result<bool> {
        let ReceiveBuffers { memory, metas } = buffers;
        let mut chunks = memory.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let receive = || self.state.recv((&self.io).into(), &mut slices, metas);
        let count = match self.io.try_io(Interest::READABLE, receive) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        for (meta, bytes) in metas.iter().zip(&mut slices).take(count) {
            let bytes = bytes.get_mut(..meta.len).unwrap_or_default();
            let path = UdpPath { local: self.local, remote: meta.addr };
            let ecn = meta.ecn.map_or(0, |ecn| ecn as u8);
            handle(Received { path, bytes, segment_size: meta.stride, ecn });
        }
        Ok(true)
    }

    /// Waits until there may be something to receive; `false` when the socket is closed.
    pub async fn readable(&self) -> bool {
        tokio::select! {
            () = self.closed.notified() => false,
            ready = self.io.readable() => ready.is_ok(),
        }
    }

    /// Waits until the kernel may have room again.
    pub async fn writable(&self) {
        // An error shows itself at the next send.
        drop(self.io.writable().await);
    }

    pub fn close(&self) {
        self.closed.notify_one();
    }
}

fn bind_one(local: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let domain = socket2::Domain::for_address(local);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // What the system allows is enough: less costs speed, not correctness.
    for result in [socket.set_recv_buffer_size(KERNEL_BUFFER), socket.set_send_buffer_size(KERNEL_BUFFER)] {
        if let Err(error) = result {
            tracing::debug!(%local, %error, "the socket keeps its default buffer");
        }
    }
    socket.bind(&local.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Memory to receive into, shared by all sockets of a driver.
#[derive(Debug)]
pub(crate) struct ReceiveBuffers {
    memory: Vec<u8>,
    metas: [RecvMeta; BATCH],
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self { memory: vec![0; BATCH * BUFFER], metas: [RecvMeta::default(); BATCH] }
    }
}
