"""aiortc against the echo of `wigwag demo`, as the one who offers and as the one who answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from conftest import Server

# aioice leaves loopback out of its host candidates, and the tests' network has nothing else.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

LIMIT = 30.0  # seconds, for a whole test
OPEN_LIMIT = 10.0
SIZES = [0, 1, 1000, 1200, 16 * 1024, 64 * 1024, 256 * 1024]
ROLES = ["offerer", "answerer"]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, LIMIT))


class Channel:
    """A data channel of aiortc with something to await."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self.channel = channel
        self.received: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.opened, self.closed = asyncio.Event(), asyncio.Event()
        channel.on("message", self.received.put_nowait)
        channel.on("open", self.opened.set)
        channel.on("close", self.closed.set)
        if channel.readyState == "open":
            self.opened.set()

    async def open(self) -> Channel:
        await asyncio.wait_for(self.opened.wait(), OPEN_LIMIT)
        return self

    async def echoes(self, messages: list[str | bytes]) -> None:
        """Sends all; what comes back must be the same, in the same order if the channel has one."""
        for message in messages:
            self.channel.send(message)
        back = [await asyncio.wait_for(self.received.get(), OPEN_LIMIT) for _ in messages]
        if not self.channel.ordered:
            messages, back = sorted(messages, key=repr), sorted(back, key=repr)
        for sent, got in zip(messages, back, strict=True):
            assert type(got) is type(sent)
            assert got == sent, f"{len(got)} came back for {len(sent)}"
        assert self.received.empty()


@asynccontextmanager
async def connection(server: Server, role: str) -> AsyncIterator[tuple[RTCPeerConnection, Channel]]:
    """A connection with its first channel open."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # the default would ask a server outside
    try:
        if role == "offerer":
            channel = Channel(peer.createDataChannel("echo"))
            await peer.setLocalDescription(await peer.createOffer())
            own = {"type": "offer", "sdp": peer.localDescription.sdp}
            status, answer = await asyncio.to_thread(server.post, "/api/echo", own)
            assert status == 200, answer
            await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        else:
            announced: asyncio.Future[RTCDataChannel] = asyncio.get_running_loop().create_future()
            peer.on("datachannel", announced.set_result)
            status, offer = await asyncio.to_thread(server.post, "/api/offer", {})
            assert status == 200, offer
            await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
            await peer.setLocalDescription(await peer.createAnswer())
            own = {"id": offer["id"], "type": "answer", "sdp": peer.localDescription.sdp}
            status, reply = await asyncio.to_thread(server.post, "/api/answer", own)
            assert status == 200, reply
            channel = Channel(await asyncio.wait_for(announced, OPEN_LIMIT))
            assert channel.channel.label == "echo"
        yield peer, await channel.open()
    finally:
        await peer.close()


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def some_text(size: int) -> str:
    """Text of `size` bytes in UTF-8."""
    head = "é→𝄞" if size > 9 else ""
    return head + "".join(random.Random(size).choices("abcdefgh ", k=size - len(head.encode())))


@pytest.mark.parametrize("role", ROLES)
def test_messages_of_every_size_come_back(server: Server, role: str) -> None:
    async def test() -> None:
        async with connection(server, role) as (_, channel):
            for size in SIZES:
                await channel.echoes([some_bytes(size), some_text(size)])
            await channel.echoes([kind(size) for size in SIZES for kind in (some_text, some_bytes)])

    run(test())


@pytest.mark.parametrize("role", ROLES)
def test_many_small_messages_stay_in_order(server: Server, role: str) -> None:
    async def test() -> None:
        async with connection(server, role) as (_, channel):
            await channel.echoes([f"message {i}" if i % 2 else some_bytes(i % 97) for i in range(500)])

    run(test())


@pytest.mark.parametrize("role", ROLES)
def test_several_channels_each_have_their_own_echo(server: Server, role: str) -> None:
    async def test() -> None:
        async with connection(server, role) as (peer, first):
            kinds: list[dict[str, Any]] = [{}, {"ordered": False}, {"protocol": "wigwag.v1"}]
            # aiortc 1.16 announces a label's length in characters, not bytes: ASCII only.
            later = [Channel(peer.createDataChannel(f"channel {i}", **kinds[i % len(kinds)])) for i in range(10)]
            for channel in later:
                await channel.open()
            channels = [first, *later]
            assert len({channel.channel.id for channel in channels}) == len(channels)
            await asyncio.gather(
                *(
                    channel.echoes(
                        [f"channel {i} message {n}" if n % 2 else some_bytes(500 * n + i) for n in range(20)]
                    )
                    for i, channel in enumerate(channels)
                )
            )

    run(test())


@pytest.mark.parametrize("role", ROLES)
def test_a_channel_closed_here_is_closed_and_a_new_one_works(server: Server, role: str) -> None:
    async def test() -> None:
        async with connection(server, role) as (peer, stays):
            for i in range(3):
                channel = await Channel(peer.createDataChannel("short-lived")).open()
                await channel.echoes([f"round {i}"])
                channel.channel.close()
                await asyncio.wait_for(channel.closed.wait(), OPEN_LIMIT)
                assert channel.channel.readyState == "closed"
                await stays.echoes([f"still here {i}"])

    run(test())


@pytest.mark.parametrize("role", ROLES)
def test_a_channel_closed_by_the_server_is_seen_to_close(server: Server, role: str) -> None:
    async def test() -> None:
        async with connection(server, role) as (peer, stays):
            channel = await Channel(peer.createDataChannel("close-me")).open()
            await channel.echoes(["goodbye"])
            await asyncio.wait_for(channel.closed.wait(), OPEN_LIMIT)
            await stays.echoes(["still here"])

    run(test())


@pytest.mark.parametrize("role", ROLES)
def test_connects_ten_of_ten_times(server: Server, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    times = []

    async def test() -> None:
        began = time.monotonic()
        async with connection(server, role) as (_, channel):
            times.append((time.monotonic() - began) * 1000)
            await channel.echoes(["hello"])

    for _ in range(10):
        run(test())
    with capsys.disabled():
        print(f"\n  {role}: open after {', '.join(f'{ms:.0f}' for ms in times)} ms, signalling included")
    assert len(times) == 10


def test_ten_connections_at_once(server: Server) -> None:
    async def one(i: int) -> None:
        async with connection(server, ROLES[i % 2]) as (_, channel):
            await channel.echoes([f"connection {i}", some_bytes(20_000 + i), ""])

    async def test() -> None:
        await asyncio.gather(*(one(i) for i in range(10)))

    run(test())


def test_a_refused_description_has_a_reason(server: Server) -> None:
    for body in [{"type": "offer", "sdp": "hello"}, {"type": "offer"}, [], {"type": "answer", "sdp": "v=0\r\n"}]:
        status, reply = server.post("/api/echo", body)
        assert (status, type(reply.get("error"))) == (400, str), (body, reply)
