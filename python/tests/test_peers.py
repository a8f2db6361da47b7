"""Against aiortc, and against the echo of `wigwag demo`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import aioice.ice
import aiortc
from conftest import Run, description

from wigwag import PeerConnection, SessionDescription

# aioice leaves loopback out of its host candidates, and the tests' network has nothing else.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_the_example_hears_its_echo(origin: str) -> None:
    command = [sys.executable, str(EXAMPLES / "echo.py"), origin, "over there → and back"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "over there → and back\n"), done.stderr


def test_the_readme_is_a_program() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    program = readme.split("```python\n")[1].split("```")[0]
    assert program.count("\n") <= 25
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "hello, bob\n"), done.stderr


def test_aiortc_answers() -> None:
    async def test() -> None:
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))

        @peer.on("datachannel")  # type: ignore[untyped-decorator,unused-ignore]
        def announced(channel: aiortc.RTCDataChannel) -> None:
            channel.on("message", channel.send)

        async with PeerConnection(include_loopback=True) as connection:
            channel = connection.create_data_channel("echo")
            await connection.set_local_description()
            await connection.gathered()
            offer = description(connection)
            await peer.setRemoteDescription(aiortc.RTCSessionDescription(offer.sdp, offer.type))
            await peer.setLocalDescription(await peer.createAnswer())
            answer = peer.localDescription
            await connection.set_remote_description(SessionDescription(answer.type, answer.sdp))
            for message in ("text", b"bytes", bytes(100_000), "", b""):
                await channel.send(message)
                assert await channel.receive() == message
        await peer.close()

    asyncio.run(asyncio.wait_for(test(), 30))


def test_aiortc_offers() -> None:
    async def test() -> None:
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        theirs = peer.createDataChannel("echo")
        theirs.on("message", theirs.send)
        await peer.setLocalDescription(await peer.createOffer())
        async with PeerConnection(include_loopback=True) as connection:
            offer = peer.localDescription
            await connection.set_remote_description(SessionDescription(offer.type, offer.sdp))
            await connection.set_local_description()
            await connection.gathered()
            answer = description(connection)
            await peer.setRemoteDescription(aiortc.RTCSessionDescription(answer.sdp, answer.type))
            channel = await connection.accept()
            assert channel is not None and channel.label == "echo"
            for message in ("text", b"bytes", bytes(100_000), "", b""):
                await channel.send(message)
                assert await channel.receive() == message
        await peer.close()

    asyncio.run(asyncio.wait_for(test(), 30))
