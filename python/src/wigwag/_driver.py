"""Moves bytes and time for one connection, and answers what it asks for.

A driver belongs to the loop that it was started on, and to nobody's handle: it ends by itself when the connection has.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from wigwag import sansio
from wigwag._clock import now
from wigwag._socket import Received, UdpSocket, bind
from wigwag.sansio import Address, Event

MAX_MESSAGE_BYTES = 256 << 10
"""Bytes of messages that are taken out of the engine ahead of their receivers; what lies beyond closes the peer's window."""
MAX_MESSAGES = 1024
"""Messages, likewise."""
MAX_EVENTS = 256
"""Events that wait for who iterates over them; the oldest go first."""
MAX_PACKETS = 1024
"""Packets that wait on one transceiver; the oldest go first."""
MAX_INCOMING = 1024
"""Channels of the peer's that nobody accepted yet; what goes beyond is closed."""
MAX_STREAM_BYTES = 1 << 20
"""Bytes that a stream to a server may owe; what goes beyond is lost, as datagrams would be."""
WATCH_INTERVAL = 5.0
"""Seconds between two looks at the interfaces."""
TURN = 32
"""Batches that are sent before others on the loop have their turn."""


class Signal:
    """Wakes all who wait."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


class ChannelInbox:
    """What waits on one data channel."""

    def __init__(self) -> None:
        self.messages: deque[str | bytes] = deque()
        self.is_open = self.is_closed = self.is_orphan = False
        self.changed = Signal()


class Line:
    """What waits on one transceiver."""

    def __init__(self) -> None:
        self.packets: deque[sansio.RtpPacket] = deque(maxlen=MAX_PACKETS)
        self.wants_key_frame = False
        self.changed = Signal()


class Driver:
    """See the module."""

    def __init__(self, engine: sansio.PeerConnection, loop: asyncio.AbstractEventLoop) -> None:
        self.engine, self.loop = engine, loop
        self.sockets: dict[Address, UdpSocket] = {}
        self.unsent: dict[Address, tuple[bytes, int, Address]] = {}
        self.streams: dict[sansio.Stream, asyncio.StreamWriter] = {}
        self.listeners: dict[Address, asyncio.Server] = {}
        self.accepted = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.out = memoryview(bytearray(65_507))
        self.timer: asyncio.TimerHandle | None = None
        self.deadline: int | None = None
        self.watcher: asyncio.TimerHandle | None = None
        self.is_pumping = self.is_over = self.is_orphan = False
        self.woken = self.has_changed = False

        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.callbacks: dict[type[Event], list[Callable[[Any], object]]] = {}
        self.incoming: deque[sansio.ChannelId] = deque()
        self.channels: dict[sansio.ChannelId, ChannelInbox] = {}
        self.lines: dict[sansio.TransceiverId, Line] = {}
        self.bytes = self.messages = 0
        self.wants_room: int | None = None
        self.changed = Signal()

    # Turns.

    def wake(self) -> None:
        """Something was asked of the engine: what follows from it is done in the loop's next turn."""
        if not self.woken and not self.is_over:
            self.woken = True
            self.loop.call_soon(self.pump)

    def abandon(self) -> None:
        """The last handle is gone: says goodbye, in the background. From any thread."""
        try:
            self.loop.call_soon_threadsafe(self._abandon)
        except RuntimeError:  # the loop is closed, and nothing will run on it
            self._end()

    def _abandon(self) -> None:
        self.is_orphan = True
        self.callbacks.clear()
        self.engine.close(now())
        self.wake()

    def _timeout(self) -> None:
        self.timer = self.deadline = None
        if not self.is_over:
            self.engine.handle_timeout(now())
            self.pump()

    def _receive(self, local: Address, batch: Received) -> None:
        if not self.is_over:
            self.engine.handle_input(now(), local, batch)
            self.pump()

    def pump(self) -> None:
        """Does whatever there is to do."""
        self.woken = False
        if self.is_over or self.is_pumping:
            return
        self.is_pumping = True
        try:
            self._requests()
            self._events()
            is_done = self._transmits()
        finally:
            self.is_pumping = False
        if self.engine.is_closed and is_done and not self.unsent:
            self._events()  # what was sent, or answered, may have been the last
            self._end()
            return
        if not is_done:
            self.wake()
        deadline = self.engine.poll_timeout()
        if deadline != self.deadline:
            if self.timer is not None:
                self.timer.cancel()
            self.timer, self.deadline = None, deadline
            if deadline is not None:
                self.timer = self.loop.call_later(max(0, deadline - now()) / 1e6, self._timeout)

    def _end(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        for timer in (self.timer, self.watcher):
            if timer is not None:
                timer.cancel()
        for sock in self.sockets.values():
            sock.close()
        for task in self.tasks:
            if not self.loop.is_closed():
                task.cancel()
        if not self.loop.is_closed():
            for writer in self.streams.values():
                writer.close()
            for listener in self.listeners.values():
                listener.close()
        self.sockets.clear()
        self.unsent.clear()
        for channel in self.channels.values():
            channel.is_closed = True
        if not self.loop.is_closed():
            self._fire_all()

    def _fire_all(self) -> None:
        self.changed.fire()
        for channel in self.channels.values():
            channel.changed.fire()
        for line in self.lines.values():
            line.changed.fire()

    # What goes out.

    def _transmits(self) -> bool:
        """``False``: there is more."""
        engine, out = self.engine, self.out
        for _ in range(TURN):
            if self.unsent:
                return True  # the socket will call
            segments = min((it.max_segments for it in self.sockets.values()), default=1)
            transmit = engine.poll_transmit(now(), out, segments)
            if transmit is None:
                return True
            data = out[: transmit.length]
            if transmit.stream is not None:
                self._write(transmit.stream, data)
            elif transmit.local is not None and transmit.remote is not None:
                sock = self.sockets.get(transmit.local)
                if sock is not None and not sock.send(data, transmit.segment_size, transmit.remote):
                    self.unsent[sock.local] = (bytes(data), transmit.segment_size, transmit.remote)
                    sock.when_writable(lambda local=sock.local: self._writable(local))  # type: ignore[misc]
        return False

    def _writable(self, local: Address) -> None:
        sock, unsent = self.sockets.get(local), self.unsent.pop(local, None)
        if sock is not None and unsent is not None and not self.is_over:
            data, segment_size, remote = unsent
            if not sock.send(memoryview(data), segment_size, remote):
                self.unsent[local] = unsent
                sock.when_writable(lambda: self._writable(local))
                return
            self.pump()

    def _write(self, stream: sansio.Stream, data: memoryview) -> None:
        writer = self.streams.get(stream)
        if writer is not None and writer.transport.get_write_buffer_size() <= MAX_STREAM_BYTES:
            writer.write(bytes(data))

    # What happened.

    def _events(self) -> None:
        engine = self.engine
        while (event := engine.poll_state_event()) is not None:
            self._put(event)
        while self.is_orphan or self._has_room() or engine.is_closed:
            event = engine.poll_event()
            if event is None:
                break
            self._put(event)
        if self.wants_room is not None and engine.has_send_room(self.wants_room):
            self.wants_room = None
            self.has_changed = True
        if self.has_changed:
            # Last: callbacks have their turn before those who waited.
            self.has_changed = False
            self.changed.fire()

    def _has_room(self) -> bool:
        return self.bytes < MAX_MESSAGE_BYTES and self.messages < MAX_MESSAGES

    def _put(self, event: Event) -> None:
        match event:
            case Event.Message(channel, data):
                inbox = self.channels.get(channel)
                if inbox is not None and not inbox.is_orphan and not self.is_orphan:
                    self.bytes += len(data)
                    self.messages += 1
                    inbox.messages.append(data)
                    inbox.changed.fire()
                return
            case Event.Rtp(transceiver, packet):
                if not self.is_orphan:
                    line = self.line(transceiver)
                    line.packets.append(packet)
                    line.changed.fire()
                return
            case Event.Writable():
                return  # who waits for room is told by `_events`
            case Event.KeyFrameRequest(transceiver):
                line = self.line(transceiver)
                line.wants_key_frame = True
                line.changed.fire()
            case Event.DataChannel(channel):
                inbox = self.channels.setdefault(channel, ChannelInbox())
                inbox.is_open = True
                if self.is_orphan or len(self.incoming) >= MAX_INCOMING:
                    inbox.is_orphan = True
                    self.engine.close_channel(channel)
                    return
                self.incoming.append(channel)
            case Event.ChannelOpen(channel):
                if (inbox := self.channels.get(channel)) is not None:
                    inbox.is_open = True
                    inbox.changed.fire()
            case Event.ChannelClosed(channel):
                if (inbox := self.channels.get(channel)) is not None:
                    inbox.is_closed = True
                    inbox.changed.fire()
                    if inbox.is_orphan:
                        del self.channels[channel]
            case Event.ConnectionStateChange() | Event.SignalingStateChange():
                for line in self.lines.values():
                    line.changed.fire()
            case _:
                pass
        for kind in (type(event), Event):
            for callback in self.callbacks.get(kind, ()):
                self.loop.call_soon(callback, event)
        self.events.append(event)
        self.has_changed = True

    def line(self, transceiver: sansio.TransceiverId) -> Line:
        return self.lines.setdefault(transceiver, Line())

    def take(self, channel: ChannelInbox) -> str | bytes:
        """The next message, of a channel that has one."""
        message = channel.messages.popleft()
        was_full = not self._has_room()
        self.bytes -= len(message)
        self.messages -= 1
        if was_full and self._has_room():
            self.wake()  # the engine's messages move up, and the peer's window opens
        return message

    def orphan(self, id: sansio.ChannelId) -> None:
        """Nobody will receive on this channel any more."""
        inbox = self.channels.get(id)
        if inbox is not None:
            inbox.is_orphan = True
            while inbox.messages:
                self.take(inbox)
            if inbox.is_closed:
                del self.channels[id]

    # What is asked for.

    def _requests(self) -> None:
        while (request := self.engine.poll_request()) is not None:
            match request:
                case sansio.BindUdp():
                    try:
                        sock = UdpSocket(self.loop, bind(request.local, request.ports), self._receive)
                    except OSError as error:
                        self._answer(request.failed(str(error)))
                    else:
                        self.sockets[sock.local] = sock
                        self._answer(request.bound(sock.local))
                case sansio.CloseUdp():
                    if (closing := self.sockets.pop(request.local, None)) is not None:
                        self.unsent.pop(closing.local, None)
                        closing.close()
                case sansio.ResolveName():
                    self._start(self._resolve(request))
                case sansio.WatchInterfaces():
                    try:
                        interfaces = sansio.local_interfaces()
                    except OSError as error:
                        self._answer(request.failed(str(error)))
                    else:
                        self._answer(request.interfaces(interfaces))
                        self._watch(interfaces)
                case sansio.OpenStream():
                    self._start(self._open(request))
                case sansio.CloseStream():
                    if (writer := self.streams.pop(request.stream, None)) is not None:
                        writer.close()
                case sansio.ListenTcp():
                    self._start(self._listen(request))
                case sansio.CloseListener():
                    if (listener := self.listeners.pop(request.local, None)) is not None:
                        listener.close()
                case sansio.JoinMulticast():
                    self._answer(request.failed("multicast is not supported"))

    def _answer(self, answer: sansio.Answer) -> None:
        if not self.is_over:
            self.engine.handle_answer(now(), answer)
            self.wake()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _resolve(self, request: sansio.ResolveName) -> None:
        try:
            found = await self.loop.getaddrinfo(request.host, None, type=socket.SOCK_DGRAM)
        except OSError as error:
            self._answer(request.failed(str(error)))
        else:
            self._answer(request.resolved([str(address[0]) for *_, address in found]))

    def _watch(self, known: list[tuple[str, str]]) -> None:
        def look() -> None:
            try:
                found = sansio.local_interfaces()
            except OSError:
                found = known
            if found != known:
                self.engine.handle_interfaces(now(), found)
                self.wake()
            self._watch(found)

        if self.watcher is not None:
            self.watcher.cancel()
        if not self.is_over:
            self.watcher = self.loop.call_later(WATCH_INTERVAL, look)

    async def _open(self, request: sansio.OpenStream) -> None:
        host, port = request.remote[:2]
        tls = None if request.tls_server_name is None else ssl.create_default_context()
        local = None if request.local is None else (request.local[0], request.local[1])
        try:
            reader, writer = await asyncio.open_connection(
                host, port, ssl=tls, server_hostname=request.tls_server_name, local_addr=local
            )
        except OSError as error:
            self._answer(request.failed(str(error)))
            return
        self.streams[request.stream] = writer
        self._answer(request.opened(writer.get_extra_info("sockname")))
        await self._read(request.stream, reader, writer)

    async def _listen(self, request: sansio.ListenTcp) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            stream = sansio.Stream.accepted(self.accepted)
            self.accepted += 1
            self.streams[stream] = writer
            local, remote = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
            self.engine.handle_stream_accepted(now(), stream, local, remote)
            self.wake()
            await self._read(stream, reader, writer)

        ports = (request.local[1],) if request.local[1] or request.ports is None else range(
            request.ports[0], request.ports[1] + 1
        )
        reason = "no port is free"
        for port in ports:
            try:
                server = await asyncio.start_server(accept, request.local[0], port)
            except OSError as error:
                reason = str(error)
                continue
            local = server.sockets[0].getsockname()
            self.listeners[local if len(local) == 4 and local[3] else local[:2]] = server
            self._answer(request.listening(local))
            return
        self._answer(request.failed(reason))

    async def _read(
        self, stream: sansio.Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(65_536):
                self.engine.handle_stream(now(), stream, data)
                self.pump()
        except OSError:
            pass  # the same as its end
        finally:
            writer.close()
            self.streams.pop(stream, None)
        if not self.is_over:
            self.engine.handle_stream_closed(now(), stream)
            self.wake()
