"""The handles: `PeerConnection`, `DataChannel`, `Transceiver`."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from wigwag import sansio
from wigwag._clock import now, wall_clock
from wigwag._driver import ChannelInbox, Driver
from wigwag.sansio import (
    BufferFullError,
    Codec,
    Event,
    IceCandidate,
    InvalidStateError,
    OperationError,
    RtpPacket,
    SessionDescription,
)

E = TypeVar("E", bound=Event)


class ChannelClosed(InvalidStateError):
    """The data channel is closed, by either side or with its connection."""


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server, as in the W3C's ``iceServers``: ``stun:host:port``, ``turn:host:port?transport=tcp``, ``turns:host``."""

    urls: Sequence[str] | str
    username: str = ""
    credential: str = field(default="", repr=False)


class PeerConnection:
    """A connection to one peer.

    It belongs to the event loop on which it was first used, and is used from there only; different connections may have different loops, in
    different threads. Everything that waits can be cancelled, with no effect but that. ``async with`` closes it; when the last handle (its
    channels and transceivers included) is gone, it is closed in the background.

    Events come to callbacks (`on`) and to ``async for event in connection``. Messages, channels and packets that nobody takes are bounded: messages
    hold up the peer, the oldest packets and events are dropped.
    """

    def __init__(
        self,
        ice_servers: Sequence[IceServer] = (),
        *,
        ice_transport_policy: str = "all",
        include_loopback: bool = False,
        mtu: int | None = None,
        max_message_size: int | None = None,
        send_buffer: int | None = None,
        receive_window: int | None = None,
        close_timeout: float | None = None,
    ) -> None:
        """``ice_transport_policy``: ``all`` or ``relay``. ``include_loopback``: offer 127.0.0.1 and ::1, too, for tests on one host.
        ``mtu``, ``max_message_size``, ``send_buffer``, ``receive_window``: bytes; ``close_timeout``: seconds. ``None``: the engine's default.

        Raises `InvalidSyntaxError` for a server's URL that can't be read."""
        self._engine = sansio.PeerConnection(
            os.urandom(32),
            gathering="interfaces",
            ice_servers=[
                ((it.urls,) if isinstance(it.urls, str) else it.urls, it.username, it.credential) for it in ice_servers
            ],
            ice_transport_policy=ice_transport_policy,
            include_loopback=include_loopback,
            wall_clock=wall_clock(),
            mtu=mtu,
            max_message_size=max_message_size,
            send_buffer=send_buffer,
            receive_window=receive_window,
            close_timeout=None if close_timeout is None else int(close_timeout * 1e6),
        )
        self._driver: Driver | None = None

    def _drive(self) -> Driver:
        """The driver, on this loop."""
        loop = asyncio.get_running_loop()
        driver = self._driver
        if driver is None:
            self._engine.handle_wall_clock(now(), wall_clock())
            driver = self._driver = Driver(self._engine, loop)
            weakref.finalize(self, driver.abandon).atexit = False
        elif driver.loop is not loop:
            raise RuntimeError("this connection belongs to another event loop")
        driver.wake()
        return driver

    # Negotiation.

    async def create_offer(self) -> SessionDescription:
        """Raises `InvalidStateError` when the signalling state does not allow it."""
        self._drive()
        return self._engine.create_offer()

    async def create_answer(self) -> SessionDescription:
        """Raises `InvalidStateError` when there is no offer to answer."""
        self._drive()
        return self._engine.create_answer()

    async def set_local_description(self, description: SessionDescription | None = None) -> None:
        """Applies what was created last; ``None``: creates what is due, and applies it. Gathering begins with the first."""
        self._drive()
        self._engine.set_local_description(now(), description)

    async def set_remote_description(self, description: SessionDescription) -> None:
        """Raises `RTCError` when it is not SDP, `InvalidAccessError` when it can't be used, `InvalidStateError`."""
        self._drive()
        self._engine.set_remote_description(now(), description)

    async def add_ice_candidate(self, candidate: IceCandidate) -> None:
        """A candidate of the peer's. Raises `InvalidStateError` before the remote description, `OperationError`."""
        self._drive()
        self._engine.add_ice_candidate(now(), candidate)

    def restart_ice(self) -> None:
        """Asks for new paths with the next offer."""
        self._drive()
        self._engine.restart_ice()

    @property
    def local_description(self) -> SessionDescription | None:
        """With the candidates that are known by now."""
        return self._engine.local_description

    @property
    def remote_description(self) -> SessionDescription | None:
        return self._engine.remote_description

    # States.

    @property
    def signaling_state(self) -> str:
        return self._engine.signaling_state

    @property
    def ice_gathering_state(self) -> str:
        return self._engine.ice_gathering_state

    @property
    def ice_connection_state(self) -> str:
        return self._engine.ice_connection_state

    @property
    def connection_state(self) -> str:
        return self._engine.connection_state

    @property
    def failure(self) -> str | None:
        """Why it failed, if it did."""
        return self._engine.failure

    def stats(self) -> dict[str, int]:
        """Datagrams and bytes sent, received and dropped."""
        return self._engine.stats()

    async def gathered(self) -> None:
        """Waits until all of our candidates are in `local_description`."""
        driver = self._drive()
        while self._engine.ice_gathering_state != "complete":
            if driver.is_over:
                raise InvalidStateError("the connection is closed")
            await driver.changed.wait()

    async def connected(self) -> None:
        """Waits until the peer is there. Raises `OperationError` with the reason if it never will be."""
        driver = self._drive()
        while (state := self._engine.connection_state) != "connected":
            if state in ("failed", "closed") or driver.is_over:
                raise OperationError(self._engine.failure or "the connection is closed")
            await driver.changed.wait()
        await asyncio.sleep(0)  # callbacks first

    async def closed(self) -> None:
        """Waits until the connection is closed by either side, or has failed."""
        driver = self._drive()
        while self._engine.connection_state not in ("failed", "closed") and not driver.is_over:
            await driver.changed.wait()
        await asyncio.sleep(0)  # callbacks first

    async def close(self) -> None:
        """Delivers what was accepted (for at most ``close_timeout``), says goodbye, and waits until that is done. Cancelled, it is done in the
        background."""
        driver = self._drive()
        self._engine.close(now())
        driver.wake()
        while not driver.is_over:
            await driver.changed.wait()
        await asyncio.sleep(0)  # callbacks first

    async def __aenter__(self) -> Self:
        self._drive()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Events.

    def on(self, event: type[E], callback: Callable[[E], object]) -> None:
        """Calls back for each event of this class (`Event`: for all but messages and packets), in a turn of its own on the loop."""
        self._drive().callbacks.setdefault(event, []).append(callback)

    def off(self, event: type[E], callback: Callable[[E], object]) -> None:
        """Takes a callback of `on` back."""
        callbacks = self._drive().callbacks.get(event, [])
        if callback in callbacks:
            callbacks.remove(callback)

    async def next_event(self) -> Event | None:
        """The next event that is not a message or a packet; ``None`` when the connection is over."""
        driver = self._drive()
        while not driver.events:
            if driver.is_over or self._engine.connection_state == "failed":
                return None
            await driver.changed.wait()
        return driver.events.popleft()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self.next_event()) is not None:
            yield event

    # Data channels.

    def create_data_channel(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        negotiated: int | None = None,
    ) -> DataChannel:
        """The first one wants an offer. ``max_packet_life_time``: milliseconds. ``negotiated``: the stream's number, if both sides agreed on it
        otherwise. Raises `InvalidStateError` when the connection is closed."""
        driver = self._drive()
        id = self._engine.create_data_channel(
            label,
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            max_packet_life_time=max_packet_life_time,
            negotiated=negotiated,
        )
        driver.channels[id] = ChannelInbox()
        return DataChannel(self, id)

    async def accept(self) -> DataChannel | None:
        """The next data channel that the peer opens; ``None`` when the connection is over."""
        driver = self._drive()
        while not driver.incoming:
            if driver.is_over or self._engine.connection_state in ("failed", "closed"):
                return None
            await driver.changed.wait()
        return DataChannel(self, driver.incoming.popleft())

    async def data_channels(self) -> AsyncIterator[DataChannel]:
        """Each data channel that the peer opens."""
        while (channel := await self.accept()) is not None:
            yield channel

    # Audio and video.

    def add_transceiver(
        self,
        kind: str,
        *,
        direction: str = "sendrecv",
        track: str | None = None,
        streams: Sequence[str] = (),
        codecs: Sequence[Codec] = (),
    ) -> Transceiver:
        """An m-line of its own with ``audio`` or ``video`` in the next offer. ``codecs``: the best first; none: those that browsers have."""
        self._drive()
        id = self._engine.add_transceiver(kind, direction=direction, track=track, streams=streams, codecs=codecs)
        return Transceiver(self, id)

    def add_track(self, kind: str, *, track: str | None = None, streams: Sequence[str] = ()) -> Transceiver:
        """A track to be sent: on a transceiver that never sent, such as one that the peer's offer made, or on a new one."""
        self._drive()
        return Transceiver(self, self._engine.add_track(kind, track=track, streams=streams))

    def transceiver(self, id: sansio.TransceiverId) -> Transceiver:
        """The one that an `Event.Track` tells of."""
        self._drive()
        return Transceiver(self, id)

    @property
    def transceivers(self) -> list[Transceiver]:
        """All, in the order in which they were made."""
        return [Transceiver(self, it.id) for it in self._engine.transceivers()]

    def __repr__(self) -> str:
        return f"<wigwag.PeerConnection {self.connection_state}>"


class DataChannel:
    """A data channel. When its last handle is gone, it is closed after what was sent on it has arrived.

    Messages that nobody receives hold up the connection's other channels, once there are 256 KiB or 1024 of them: the peer sends all of them in
    one stream of packets, and has to wait. Receive what you accept, or drop it.
    """

    def __init__(self, connection: PeerConnection, id: sansio.ChannelId) -> None:
        driver = connection._drive()
        self._connection, self._id, self._inbox = connection, id, driver.channels[id]
        self._info = connection._engine.channel(id)
        weakref.finalize(self, _drop_channel, driver, id).atexit = False

    @property
    def connection(self) -> PeerConnection:
        return self._connection

    @property
    def label(self) -> str:
        return self._info.label if self._info else ""

    @property
    def protocol(self) -> str:
        return self._info.protocol if self._info else ""

    @property
    def ordered(self) -> bool:
        return self._info.ordered if self._info else True

    @property
    def is_open(self) -> bool:
        return self._inbox.is_open and not self._inbox.is_closed

    @property
    def is_closed(self) -> bool:
        return self._inbox.is_closed

    @property
    def buffered_amount(self) -> int:
        """Bytes that were accepted and have not left yet."""
        return self._connection._engine.buffered_amount(self._id)

    async def opened(self) -> None:
        """Waits until it is open. (Sending need not wait for it.) Raises `ChannelClosed` when it was closed instead."""
        self._connection._drive()
        while not self._inbox.is_open:
            if self._inbox.is_closed:
                raise ChannelClosed("the data channel is closed")
            await self._inbox.changed.wait()

    async def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Sends a message (a `str` is text for the peer), and waits while the send buffer is full: cancelled then, it was not sent.

        Raises `ChannelClosed`, `MessageTooLargeError`."""
        driver = self._connection._drive()
        length = len(data) * 4 if isinstance(data, str) else memoryview(data).nbytes
        while True:
            try:
                self.try_send(data)
                return
            except BufferFullError:
                driver.wants_room = min(length, length if driver.wants_room is None else driver.wants_room)
            await driver.changed.wait()

    def try_send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Sends a message if there is room. Raises `BufferFullError`, and as `send` does."""
        driver = self._connection._drive()
        try:
            self._connection._engine.send(self._id, data)
        except InvalidStateError:
            raise ChannelClosed("the data channel is closed") from None
        driver.wake()

    async def receive(self) -> str | bytes | None:
        """The next message; ``None`` when the channel is closed and all were received. Text is `str`."""
        driver = self._connection._drive()
        while not self._inbox.messages:
            if self._inbox.is_closed:
                return None
            await self._inbox.changed.wait()
        return driver.take(self._inbox)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self.receive()) is not None:
            yield message

    def close(self) -> None:
        """Closes it, after what was sent has arrived; iteration ends when that is done."""
        self._connection._drive()
        self._connection._engine.close_channel(self._id)

    def __repr__(self) -> str:
        state = "closed" if self._inbox.is_closed else "open" if self._inbox.is_open else "connecting"
        return f"<wigwag.DataChannel {self.label!r} {state}>"


def _drop_channel(driver: Driver, id: sansio.ChannelId) -> None:
    """The handle of a channel is gone. From any thread."""

    def drop() -> None:
        driver.orphan(id)
        driver.engine.close_channel(id)
        driver.wake()

    try:
        driver.loop.call_soon_threadsafe(drop)
    except RuntimeError:
        pass  # the loop is closed, and the channel with it


class Transceiver:
    """What is sent and received on one m-line, as packets of RTP."""

    def __init__(self, connection: PeerConnection, id: sansio.TransceiverId) -> None:
        self._connection, self._id = connection, id

    @property
    def info(self) -> sansio.Transceiver | None:
        """What it is now: codecs, directions, names; ``None`` once it was stopped and its m-line is another's."""
        return self._connection._engine.transceiver(self._id)

    def _is_stopped(self, driver: Driver) -> bool:
        info = self.info
        return info is None or info.is_stopped or driver.is_over

    async def read_rtp(self) -> RtpPacket | None:
        """The next packet, in the order of arrival; ``None`` when the transceiver was stopped or the connection is over. Up to 1,024 wait, the
        oldest go first."""
        driver = self._connection._drive()
        line = driver.line(self._id)
        while not line.packets:
            if self._is_stopped(driver):
                return None
            await line.changed.wait()
        return line.packets.popleft()

    async def __aiter__(self) -> AsyncIterator[RtpPacket]:
        while (packet := await self.read_rtp()) is not None:
            yield packet

    def write_rtp(self, packet: RtpPacket) -> None:
        """Sends a packet; the engine looks after SSRC, RTX, NACK and reports. Raises `InvalidStateError` when it can't be sent now."""
        driver = self._connection._drive()
        self._connection._engine.write_rtp(now(), self._id, packet)
        driver.wake()

    def request_key_frame(self, rid: str | None = None) -> bool:
        """Asks the peer for a key frame of what it sends, of one encoding or of all; ``False``: it can't be asked."""
        self._connection._drive()
        return self._connection._engine.request_key_frame(now(), self._id, rid)

    async def key_frame_requested(self) -> bool:
        """Waits until the peer asks for a key frame; ``False`` when the transceiver was stopped or the connection is over."""
        driver = self._connection._drive()
        line = driver.line(self._id)
        while not line.wants_key_frame:
            if self._is_stopped(driver):
                return False
            await line.changed.wait()
        line.wants_key_frame = False
        return True

    def set_direction(self, direction: str) -> None:
        """``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``, from the next offer and answer on."""
        self._connection._drive()
        self._connection._engine.set_direction(self._id, direction)

    def set_codec_preferences(self, codecs: Sequence[Codec]) -> None:
        """What the next offer or answer has, the best first."""
        self._connection._drive()
        self._connection._engine.set_codec_preferences(self._id, codecs)

    def stop(self) -> None:
        """For good, with the next offer and answer."""
        self._connection._drive()
        self._connection._engine.stop_transceiver(self._id)

    def __repr__(self) -> str:
        info = self.info
        return f"<wigwag.Transceiver {info.kind if info else 'stopped'}>"
