"""Two connections with each other: data, media, errors, back-pressure."""

from __future__ import annotations

import asyncio
import random

import pytest
from conftest import Run, channels, negotiate, pair

import wigwag
from wigwag import Event, PeerConnection, RtpPacket, SessionDescription


def test_messages_come_back_as_they_were(run: Run) -> None:
    async def test() -> None:
        async with channels() as (ours, theirs):
            assert (theirs.label, theirs.protocol, theirs.ordered) == ("test", "", True)
            some = random.Random(1)
            messages: list[str | bytes] = ["", b"", "é→𝄞", b"\0", *(some.randbytes(size) for size in (1, 1200, 65_536, 200_000))]
            for message in messages:
                await ours.send(message)
            for message in messages:
                assert await theirs.receive() == message
            await theirs.send(bytearray(b"back"))
            assert await ours.receive() == b"back"

    run(test())


def test_a_channel_is_iterated_over_until_it_is_closed(run: Run) -> None:
    async def test() -> None:
        async with channels() as (ours, theirs):
            for number in range(100):
                await ours.send(str(number))
            ours.close()
            assert [message async for message in theirs] == [str(number) for number in range(100)]
            with pytest.raises(wigwag.ChannelClosed):
                await theirs.send("too late")

    run(test())


def test_a_slow_receiver_slows_the_sender(run: Run) -> None:
    async def test() -> None:
        async with channels() as (ours, theirs):
            sent = 0

            async def send() -> None:
                nonlocal sent
                while sent < 400:
                    await ours.send(sent.to_bytes(4, "big") + bytes(64 * 1024 - 4))
                    sent += 1

            task = asyncio.create_task(send())
            before = -1
            while before != sent or sent == 0:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.5)
            # The engine's buffer of 2 MiB, the peer's window of 1 MiB, and what is ready to be received.
            assert sent * 65_536 < 5 << 20
            for number in range(400):
                message = await theirs.receive()
                assert isinstance(message, bytes) and int.from_bytes(message[:4], "big") == number
            await task

    run(test())


def test_events_come_to_callbacks_and_iterators(run: Run) -> None:
    async def test() -> None:
        states: list[str] = []
        async with pair() as (one, other):
            one.on(Event.ConnectionStateChange, lambda event: states.append(event.state))
            one.create_data_channel("test")
            await negotiate(one, other)
            await asyncio.gather(one.connected(), other.connected())
            async for event in one:
                match event:
                    case Event.ConnectionStateChange("connected"):
                        break
            assert states == ["connecting", "connected"]
        assert states[-1] == "closed"
        told = [event async for event in one]
        assert any(isinstance(event, Event.ConnectionStateChange) and event.state == "closed" for event in told)

    run(test())


def test_candidates_are_trickled(run: Run) -> None:
    async def test() -> None:
        async def tell(source: PeerConnection, target: PeerConnection) -> None:
            async for event in source:
                if isinstance(event, Event.IceCandidate):
                    await target.add_ice_candidate(event.candidate)

        async with pair() as (one, other):
            channel = one.create_data_channel("test")
            offer = await one.create_offer()
            await one.set_local_description(offer)
            await other.set_remote_description(offer)
            answer = await other.create_answer()
            await other.set_local_description(answer)
            await one.set_remote_description(answer)
            tasks = [asyncio.create_task(tell(one, other)), asyncio.create_task(tell(other, one))]
            await asyncio.gather(channel.opened(), other.connected())
            for task in tasks:
                task.cancel()

    run(test())


def test_packets_go_both_ways(run: Run) -> None:
    async def test() -> None:
        async with pair() as (one, other):
            ours = one.add_transceiver("video", streams=["stream"])
            await one.set_local_description()
            await one.gathered()
            offer = one.local_description
            assert offer is not None
            await other.set_remote_description(offer)
            theirs = other.add_track("video")
            await other.set_local_description()
            await other.gathered()
            answer = other.local_description
            assert answer is not None
            await one.set_remote_description(answer)
            await asyncio.gather(one.connected(), other.connected())
            info = ours.info
            assert info is not None and info.current_direction == "sendrecv"
            codec = info.codecs[0]

            async def echo() -> None:
                async for packet in theirs:
                    theirs.write_rtp(packet)

            task = asyncio.create_task(echo())
            for number in range(50):
                packet = RtpPacket(
                    bytes([number]) * 900,
                    payload_type=codec.payload_type,
                    sequence_number=65_530 + number,
                    timestamp=number * 3000,
                    marker=number % 2 == 0,
                )
                ours.write_rtp(packet)
                back = await ours.read_rtp()
                assert back is not None
                assert (back.payload, back.timestamp, back.marker) == (packet.payload, packet.timestamp, packet.marker)
            assert theirs.request_key_frame()
            assert await ours.key_frame_requested()
            await one.close()
            await task

    run(test())


def test_errors_have_types_and_names(run: Run) -> None:
    async def test() -> None:
        async with channels() as (ours, theirs):
            with pytest.raises(wigwag.InvalidStateError) as wrong:
                await ours.connection.create_answer()
            assert wrong.value.name == "InvalidStateError" and "stable" in str(wrong.value)
            with pytest.raises(wigwag.RTCError):
                await ours.connection.set_remote_description(SessionDescription("offer", "nonsense"))
            with pytest.raises(wigwag.MessageTooLargeError) as large:
                await ours.send(bytes(1 << 20))
            assert large.value.name == "TypeError"
            with pytest.raises(TypeError):
                await ours.send(7)  # type: ignore[arg-type]
        with pytest.raises(wigwag.ChannelClosed):
            await ours.send("too late")
        with pytest.raises(wigwag.InvalidSyntaxError):
            PeerConnection([wigwag.IceServer("http://example.org")])
        with pytest.raises(ValueError):
            SessionDescription("suggestion")

    run(test())
