"""UDP sockets on an asyncio loop: many datagrams for each system call where the kernel can, and for each call of the engine everywhere."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from wigwag.sansio import Address

Received: TypeAlias = list[tuple[memoryview | bytes, Address, int]]
"""``(bytes, remote, segment_size)``; good until the callback returns."""

IS_LINUX = sys.platform == "linux"
UDP_SEGMENT, UDP_GRO = 103, 104  # of linux/udp.h; Python has no names for them
SOL_UDP = socket.IPPROTO_UDP

MAX_DATAGRAMS = 64
"""Datagrams that are taken from a socket before others have their turn."""
BUFFERS = 16
"""System calls' worth of datagrams that go into the engine with one call."""
BUFFER = 65_536
"""Bytes: what one system call brings at most."""
KERNEL_BUFFER = 1 << 20
"""Bytes that the kernel is asked to keep for us while the interpreter is elsewhere."""


class _Memory(threading.local):
    """One thread's buffers: what is in them is used before anybody else's turn comes."""

    def __init__(self) -> None:
        self.buffers = [memoryview(bytearray(BUFFER)) for _ in range(BUFFERS)]


_memory = _Memory()


def bind(local: Address, ports: tuple[int, int] | None) -> socket.socket:
    """A socket at `local`, on one of `ports` (the first and the last) if it names none."""
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    candidates: Sequence[int] = (local[1],) if local[1] or ports is None else range(ports[0], ports[1] + 1)
    reason: OSError = OSError(errno.EADDRINUSE, "no port is free")
    for port in candidates:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER)
            sock.bind((local[0], port, *local[2:]))
            return sock
        except OSError as error:
            sock.close()
            reason = error
    raise reason


class UdpSocket:
    """A bound socket. `received` is called with batches."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, received: Callable[[Address, Received], None]
    ) -> None:
        self.loop, self.sock, self.received = loop, sock, received
        name = sock.getsockname()
        self.local: Address = name if len(name) == 4 and name[3] else name[:2]
        self.transport: asyncio.DatagramTransport | None = None
        self.max_segments = 64 if self._option(UDP_SEGMENT, 0) else 1
        self.has_gro = self._option(UDP_GRO, 1)
        self.opening: asyncio.Task[None] | None = None
        try:
            loop.add_reader(sock.fileno(), self._readable)
        except NotImplementedError:  # Windows' proactor loop
            self.max_segments, self.has_gro = 1, False
            self.opening = loop.create_task(self._open_transport())

    def _option(self, option: int, value: int) -> bool:
        if not IS_LINUX:
            return False
        try:
            self.sock.setsockopt(SOL_UDP, option, value)
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self.opening is not None:
            self.opening.cancel()
        if self.transport is not None:
            self.transport.abort()
        elif self.sock.fileno() >= 0:
            if self.opening is None and not self.loop.is_closed():
                self.loop.remove_reader(self.sock.fileno())
                self.loop.remove_writer(self.sock.fileno())
            self.sock.close()

    def _readable(self) -> None:
        taken = 0
        while taken < MAX_DATAGRAMS and self.sock.fileno() >= 0:
            batch: Received = []
            for buffer in _memory.buffers:
                try:
                    if IS_LINUX:
                        length, ancillary, _, remote = self.sock.recvmsg_into([buffer], 64)
                    else:
                        (length, remote), ancillary = self.sock.recvfrom_into(buffer), []
                except (BlockingIOError, InterruptedError):
                    taken = MAX_DATAGRAMS
                    break
                except OSError:  # an ICMP error of an earlier send: the path's checks will tell
                    continue
                size = next((_int(data) for level, kind, data in ancillary if (level, kind) == (SOL_UDP, UDP_GRO)), 0)
                batch.append((buffer[:length], remote, size))
                taken += -(-length // size) if size else 1
                if taken >= MAX_DATAGRAMS:
                    break
            if not batch:
                return
            self.received(self.local, batch)

    def send(self, data: memoryview, segment_size: int, remote: Address) -> bool:
        """Sends datagrams of `segment_size` bytes; ``False``: the kernel has no room. What can't be sent for another reason is lost, as datagrams
        may be."""
        if self.transport is not None:
            for start in range(0, len(data), segment_size):
                self.transport.sendto(bytes(data[start : start + segment_size]), remote)
            return True
        if self.opening is not None:
            return False
        try:
            if len(data) > segment_size:
                if self.max_segments > 1:
                    self.sock.sendmsg([data], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment_size))], 0, remote)
                    return True
                for start in range(0, len(data), segment_size):
                    self.sock.sendto(data[start : start + segment_size], remote)
                return True
            self.sock.sendto(data, remote)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            # An interface without checksum offload refuses batches.
            if self.max_segments > 1 and len(data) > segment_size and error.errno in (errno.EIO, errno.EINVAL):
                self.max_segments = 1
                return self.send(data, segment_size, remote)
        return True

    def when_writable(self, call: Callable[[], None]) -> None:
        """Calls once, when the kernel has room again."""
        if self.opening is not None:
            self.opening.add_done_callback(lambda _: call())
            return

        def writable() -> None:
            self.loop.remove_writer(self.sock.fileno())
            call()

        self.loop.add_writer(self.sock.fileno(), writable)

    async def _open_transport(self) -> None:
        transport, _ = await self.loop.create_datagram_endpoint(lambda: _Protocol(self), sock=self.sock)
        self.transport, self.opening = transport, None


def _int(data: bytes) -> int:
    return cast(int, struct.unpack("=i", data[:4])[0])


class _Protocol(asyncio.DatagramProtocol):
    """Collects what arrives in one turn of the loop."""

    def __init__(self, owner: UdpSocket) -> None:
        self.owner = owner
        self.batch: Received = []

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not self.batch:
            self.owner.loop.call_soon(self._flush)
        self.batch.append((data, addr, 0))
        if len(self.batch) >= MAX_DATAGRAMS:
            self._flush()

    def _flush(self) -> None:
        batch, self.batch = self.batch, []
        if batch:
            self.owner.received(self.owner.local, batch)
