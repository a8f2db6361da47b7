"""The engine's verbs, without sockets, clocks, threads or asyncio: for programs with a loop of their own.

Datagrams and times go in; datagrams, events and requests come out. Times are whole microseconds from any epoch, of a clock that does not go
back. Verbs may be called in any order and from any thread; a loop's natural order is timers, requests, events, transmits, wait.
`wigwag` is such a loop, for asyncio.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias, final
from typing_extensions import Buffer

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""As sockets have it: the host is an IP address."""

class Error(Exception):
    """Whatever the engine refuses."""

    name: str
    """The W3C's name for it, such as ``InvalidStateError``."""

class InvalidStateError(Error):
    """Not possible in this state, or any more."""

class InvalidModificationError(Error):
    """A local description was changed, or no codec would be left."""

class InvalidAccessError(Error):
    """A description or an address that can't be used here."""

class OperationError(Error):
    """It could not be done."""

class BufferFullError(OperationError):
    """The send buffer is full: `Event.Writable` says when to go on."""

class RTCError(Error):
    """The text is not a session description."""

class InvalidSyntaxError(Error):
    """The URL of a server can't be read; its name is ``SyntaxError``."""

class NotSupportedError(Error):
    """This build, or this system, can't do it."""

class MessageTooLargeError(Error):
    """Longer than the peer accepts; its name is ``TypeError``."""

@final
class ChannelId:
    """Which data channel of a connection; never used again."""

    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...

@final
class TransceiverId:
    """Which transceiver of a connection; never used again."""

    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...

@final
class SessionDescription:
    """A description as signalling carries it."""

    def __new__(cls, type: str, sdp: str = "") -> SessionDescription:
        """``type``: ``offer``, ``pranswer``, ``answer`` or ``rollback``."""
    @property
    def type(self) -> str: ...
    @property
    def sdp(self) -> str: ...
    def __eq__(self, other: object) -> bool: ...

@final
class IceCandidate:
    """A candidate as signalling carries it; an empty one says that there are no more."""

    def __new__(
        cls,
        candidate: str,
        sdp_mid: str | None = None,
        sdp_m_line_index: int | None = None,
        username_fragment: str | None = None,
    ) -> IceCandidate: ...
    @property
    def candidate(self) -> str: ...
    @property
    def sdp_mid(self) -> str | None: ...
    @property
    def sdp_m_line_index(self) -> int | None: ...
    @property
    def username_fragment(self) -> str | None: ...
    def __eq__(self, other: object) -> bool: ...

@final
class ChannelInfo:
    """What a data channel is."""

    label: Final[str]
    protocol: Final[str]
    ordered: Final[bool]
    max_retransmits: Final[int | None]
    max_packet_life_time: Final[int | None]
    """Milliseconds."""
    negotiated: Final[bool]
    id: Final[int | None]
    """The stream's number, once it is known."""
    priority: Final[int]
    is_remote: Final[bool]
    """The peer opened it."""

@final
class RtpPacket:
    """A packet of audio or video. One that was received goes out unchanged, header extensions included, by writing it."""

    def __new__(
        cls, payload: bytes | bytearray, *, payload_type: int, sequence_number: int, timestamp: int, marker: bool = False
    ) -> RtpPacket: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def payload_type(self) -> int: ...
    @property
    def sequence_number(self) -> int:
        """Of a received packet extended: it does not wrap. The low 16 bits are those of the packet."""
    @property
    def timestamp(self) -> int:
        """In units of the codec's clock rate, 32 bits."""
    @property
    def marker(self) -> bool: ...
    @property
    def ssrc(self) -> int | None:
        """The source; ``None`` for a packet to be sent, which gets the transceiver's."""
    @property
    def rid(self) -> str | None:
        """The encoding, if the peer names it."""
    @property
    def arrival(self) -> int | None:
        """When it came, in microseconds of the caller's clock."""
    @property
    def recovered(self) -> bool:
        """It was lost, and came by RTX."""

@final
class Codec:
    """A format of audio or video, as an m-line describes it."""

    def __new__(
        cls,
        payload_type: int,
        name: str,
        clock_rate: int,
        channels: int = 1,
        parameters: str = "",
        feedback: Sequence[str] = (),
    ) -> Codec: ...
    payload_type: Final[int]
    name: Final[str]
    clock_rate: Final[int]
    channels: Final[int]
    parameters: Final[str]
    """As in ``a=fmtp``."""
    feedback: Final[list[str]]
    """As in ``a=rtcp-fb``, such as ``nack pli``."""
    def __eq__(self, other: object) -> bool: ...

@final
class Transceiver:
    """What is sent and received on one m-line, as it was when it was asked for."""

    id: Final[TransceiverId]
    kind: Final[str]
    """``audio`` or ``video``."""
    mid: Final[str | None]
    direction: Final[str]
    current_direction: Final[str | None]
    is_stopped: Final[bool]
    track: Final[str]
    streams: Final[list[str]]
    ssrc: Final[int]
    remote_track: Final[str | None]
    remote_streams: Final[list[str]]
    codecs: Final[list[Codec]]
    """What both sides can send, what the peer wants most first."""

_Candidate: TypeAlias = IceCandidate

class Event:
    """What happened; one of the classes within."""

    @final
    class NegotiationNeeded(Event):
        """An offer should be made."""

        __match_args__ = ()
    @final
    class SignalingStateChange(Event):
        __match_args__ = ("state",)
        state: Final[str]
    @final
    class IceGatheringStateChange(Event):
        __match_args__ = ("state",)
        state: Final[str]
    @final
    class IceCandidate(Event):
        """A candidate of ours, to be told to the peer."""

        __match_args__ = ("candidate",)
        candidate: Final[_Candidate]
    @final
    class IceCandidateError(Event):
        """A STUN or TURN server brought no candidate."""

        __match_args__ = ("url", "address", "error_code", "error_text")
        url: Final[str]
        address: Final[Address | None]
        error_code: Final[int]
        error_text: Final[str]
    @final
    class IceConnectionStateChange(Event):
        __match_args__ = ("state",)
        state: Final[str]
    @final
    class ConnectionStateChange(Event):
        __match_args__ = ("state",)
        state: Final[str]
    @final
    class DataChannel(Event):
        """The peer opened a channel."""

        __match_args__ = ("channel",)
        channel: Final[ChannelId]
    @final
    class ChannelOpen(Event):
        """A channel of ours is open."""

        __match_args__ = ("channel",)
        channel: Final[ChannelId]
    @final
    class Message(Event):
        __match_args__ = ("channel", "data")
        channel: Final[ChannelId]
        data: Final[str | bytes]
    @final
    class BufferedAmountLow(Event):
        __match_args__ = ("channel",)
        channel: Final[ChannelId]
    @final
    class Writable(Event):
        """There is room again after `BufferFullError`."""

        __match_args__ = ()
    @final
    class ChannelClosed(Event):
        __match_args__ = ("channel",)
        channel: Final[ChannelId]
    @final
    class Track(Event):
        """The peer sends on this transceiver from now on."""

        __match_args__ = ("transceiver",)
        transceiver: Final[TransceiverId]
    @final
    class TrackRemoved(Event):
        __match_args__ = ("transceiver",)
        transceiver: Final[TransceiverId]
    @final
    class Rtp(Event):
        __match_args__ = ("transceiver", "packet")
        transceiver: Final[TransceiverId]
        packet: Final[RtpPacket]
    @final
    class KeyFrameRequest(Event):
        """The peer can't decode what we send until a key frame comes."""

        __match_args__ = ("transceiver",)
        transceiver: Final[TransceiverId]

@final
class Answer:
    """What became of a request; made by the request, given to `PeerConnection.handle_answer`."""

@final
class Stream:
    """The name of a TCP or TLS stream."""

    @staticmethod
    def accepted(n: int) -> Stream:
        """The ``n``\\ th stream that was accepted on a listener."""
    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...

@final
class BindUdp:
    """Bind a UDP socket to ``local``; a port of 0 is any, or one of ``ports`` (the first and the last)."""

    local: Final[Address]
    ports: Final[tuple[int, int] | None]
    def bound(self, local: Address) -> Answer: ...
    def failed(self, reason: str) -> Answer: ...

@final
class CloseUdp:
    """Close the socket that was bound to ``local``. No answer."""

    local: Final[Address]

@final
class ListenTcp:
    """Accept streams at ``local``, and tell them with `PeerConnection.handle_stream_accepted`."""

    local: Final[Address]
    ports: Final[tuple[int, int] | None]
    def listening(self, local: Address) -> Answer: ...
    def failed(self, reason: str) -> Answer: ...

@final
class CloseListener:
    """No answer."""

    local: Final[Address]

@final
class OpenStream:
    """Connect to ``remote``, with TLS if there is a name to check the certificate against."""

    stream: Final[Stream]
    local: Final[Address | None]
    remote: Final[Address]
    tls_server_name: Final[str | None]
    def opened(self, local: Address) -> Answer: ...
    def failed(self, reason: str) -> Answer: ...

@final
class CloseStream:
    """After what it was given was sent. No answer."""

    stream: Final[Stream]

@final
class ResolveName:
    host: Final[str]
    def resolved(self, addresses: Sequence[str]) -> Answer: ...
    def failed(self, reason: str) -> Answer: ...

@final
class JoinMulticast:
    group: Final[Address]
    interface: Final[str]
    def joined(self, local: Address) -> Answer: ...
    def failed(self, reason: str) -> Answer: ...

@final
class WatchInterfaces:
    """List the interfaces' addresses; tell changes with `PeerConnection.handle_interfaces`."""

    def interfaces(self, interfaces_: Sequence[tuple[str, str]]) -> Answer: ...
    def failed(self, reason: str) -> Answer: ...

Request: TypeAlias = (
    BindUdp
    | CloseUdp
    | ListenTcp
    | CloseListener
    | OpenStream
    | CloseStream
    | ResolveName
    | JoinMulticast
    | WatchInterfaces
)

@final
class Transmit:
    """A batch: ``length`` bytes, in datagrams of ``segment_size`` of which the last may be shorter."""

    local: Final[Address | None]
    """The socket; ``None`` if it is for ``stream``."""
    remote: Final[Address | None]
    stream: Final[Stream | None]
    length: Final[int]
    segment_size: Final[int]
    ecn: Final[int]
    dscp: Final[int]

@final
class PeerConnection:
    """A connection to one peer. Raises nothing for what arrives; `Error` for what the caller does wrong."""

    def __new__(
        cls,
        seed: bytes,
        *,
        gathering: str = "sockets",
        ice_servers: Sequence[tuple[Sequence[str], str, str]] = (),
        ice_transport_policy: str = "all",
        ice_lite: bool = False,
        include_loopback: bool = False,
        wall_clock: int = 0,
        mtu: int | None = None,
        max_message_size: int | None = None,
        send_buffer: int | None = None,
        receive_window: int | None = None,
        close_timeout: int | None = None,
    ) -> PeerConnection:
        """``seed``: 32 bytes of the system's randomness, never used twice. ``gathering``: ``sockets`` (those of `add_udp_socket`) or
        ``interfaces`` (asked for with requests). ``ice_servers``: ``(urls, username, credential)``. ``wall_clock``: microseconds since 1970.
        The rest: bytes; ``close_timeout``: microseconds. ``None``: the engine's default."""

    def handle_input(self, now: int, local: Address, datagrams: Sequence[tuple[Buffer, Address, int]]) -> None:
        """What arrived at the socket ``local``: ``(bytes, remote, segment_size)``, each one datagram (``segment_size`` 0) or several of that
        size (UDP_GRO). Give as many per call as there are."""
    def handle_stream(self, now: int, stream: Stream, data: Buffer) -> None: ...
    def handle_stream_accepted(self, now: int, stream: Stream, local: Address, remote: Address) -> None: ...
    def handle_stream_writable(self, now: int, stream: Stream) -> None: ...
    def handle_stream_closed(self, now: int, stream: Stream) -> None: ...
    def handle_answer(self, now: int, answer: Answer) -> None: ...
    def handle_wall_clock(self, now: int, wall_clock: int) -> None: ...
    def handle_interfaces(self, now: int, interfaces_: Sequence[tuple[str, str]]) -> None: ...
    def handle_timeout(self, now: int) -> None: ...
    def add_udp_socket(self, now: int, local: Address) -> None: ...
    def remove_udp_socket(self, now: int, local: Address) -> None: ...
    def poll_transmit(self, now: int, out: Buffer, max_segments: int = 64) -> Transmit | None:
        """Writes a batch into ``out`` (a `bytearray` or another writable buffer, of 65,507 bytes for full batches); ``None``: nothing to send now."""
    def poll_event(self) -> Event | None: ...
    def poll_state_event(self) -> Event | None:
        """The next event that is not about data channels: to be taken while messages are left where they are."""
    def poll_request(self) -> Request | None: ...
    def poll_timeout(self) -> int | None:
        """When to call `handle_timeout`; ``None``: only when something happens."""

    def create_offer(self) -> SessionDescription: ...
    def create_answer(self) -> SessionDescription: ...
    def set_local_description(self, now: int, description: SessionDescription | None = None) -> None:
        """``None``: the offer or answer that is due is made and set."""
    def set_remote_description(self, now: int, description: SessionDescription) -> None: ...
    @property
    def local_description(self) -> SessionDescription | None: ...
    @property
    def remote_description(self) -> SessionDescription | None: ...
    def add_ice_candidate(self, now: int, candidate: IceCandidate) -> None: ...
    def restart_ice(self) -> None: ...
    @property
    def signaling_state(self) -> str: ...
    @property
    def ice_gathering_state(self) -> str: ...
    @property
    def ice_connection_state(self) -> str: ...
    @property
    def connection_state(self) -> str: ...
    @property
    def failure(self) -> str | None:
        """Why it failed, if it did."""
    @property
    def round_trip_time(self) -> int | None:
        """Microseconds, smoothed."""
    @property
    def is_closed(self) -> bool: ...
    def stats(self) -> dict[str, int]: ...
    def close(self, now: int) -> None:
        """Delivers what was accepted, then says goodbye: poll on until `is_closed`."""

    def create_data_channel(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        negotiated: int | None = None,
        priority: int = 256,
    ) -> ChannelId:
        """``max_packet_life_time``: milliseconds. ``negotiated``: the stream's number, if both sides agreed on it otherwise."""
    def channel(self, channel: ChannelId) -> ChannelInfo | None: ...
    def send(self, channel: ChannelId, data: str | Buffer) -> None:
        """Accepts a message, whole or not at all. Raises `BufferFullError`, `MessageTooLargeError`, `InvalidStateError`."""
    def has_send_room(self, length: int) -> bool: ...
    def buffered_amount(self, channel: ChannelId) -> int: ...
    def set_buffered_amount_low_threshold(self, channel: ChannelId, length: int) -> None: ...
    def close_channel(self, channel: ChannelId) -> None: ...
    def add_transceiver(
        self,
        kind: str,
        *,
        direction: str = "sendrecv",
        track: str | None = None,
        streams: Sequence[str] = (),
        codecs: Sequence[Codec] = (),
    ) -> TransceiverId: ...
    def add_track(self, kind: str, *, track: str | None = None, streams: Sequence[str] = ()) -> TransceiverId: ...
    def transceiver(self, transceiver: TransceiverId) -> Transceiver | None: ...
    def transceivers(self) -> list[Transceiver]: ...
    def set_direction(self, transceiver: TransceiverId, direction: str) -> None: ...
    def set_streams(self, transceiver: TransceiverId, streams: Sequence[str]) -> None: ...
    def set_codec_preferences(self, transceiver: TransceiverId, codecs: Sequence[Codec]) -> None: ...
    def stop_transceiver(self, transceiver: TransceiverId) -> None: ...
    def write_rtp(self, now: int, transceiver: TransceiverId, packet: RtpPacket) -> None: ...
    def request_key_frame(self, now: int, transceiver: TransceiverId, rid: str | None = None) -> bool: ...

def local_interfaces() -> list[tuple[str, str]]:
    """The addresses of this host's interfaces that are up: ``(name, address)``."""
