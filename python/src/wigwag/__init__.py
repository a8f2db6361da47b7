"""WebRTC for asyncio: data channels, encoded audio and video.

`PeerConnection` has the W3C's methods in Python's spelling. Below it lies `wigwag.sansio`, the engine without asyncio.
"""

from wigwag._connection import ChannelClosed, DataChannel, IceServer, PeerConnection, Transceiver
from wigwag.sansio import (
    BufferFullError,
    Codec,
    Error,
    Event,
    IceCandidate,
    InvalidAccessError,
    InvalidModificationError,
    InvalidStateError,
    InvalidSyntaxError,
    MessageTooLargeError,
    NotSupportedError,
    OperationError,
    RTCError,
    RtpPacket,
    SessionDescription,
)

__all__ = [
    "BufferFullError",
    "ChannelClosed",
    "Codec",
    "DataChannel",
    "Error",
    "Event",
    "IceCandidate",
    "IceServer",
    "InvalidAccessError",
    "InvalidModificationError",
    "InvalidStateError",
    "InvalidSyntaxError",
    "MessageTooLargeError",
    "NotSupportedError",
    "OperationError",
    "PeerConnection",
    "RTCError",
    "RtpPacket",
    "SessionDescription",
    "Transceiver",
]
