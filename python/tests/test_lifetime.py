"""Closing, cancelling and forgetting at any moment; threads and loops."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from pathlib import Path

import pytest
import uvloop
from conftest import LIMIT, Run, channels, negotiate, pair

from wigwag import PeerConnection


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


async def some_life() -> None:
    async with channels() as (ours, theirs):
        for size in (10, 100_000, 10):
            await ours.send(bytes(size))
            await theirs.receive()


def test_cancelled_at_any_moment_nothing_is_left(run: Run) -> None:
    async def test() -> None:
        await some_life()
        gc.collect()
        before, tasks = open_files(), len(asyncio.all_tasks())
        some = random.Random(3)
        cancelled = 0
        for _ in range(100):
            task = asyncio.create_task(some_life())
            await asyncio.sleep(some.random() * 0.04)
            cancelled += task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
        assert cancelled > 10
        gc.collect()
        # A cancelled `close` goes on in the background: the loop is given its time.
        for _ in range(100):
            if open_files() <= before:
                break
            await asyncio.sleep(0.1)
        assert open_files() <= before
        assert len(asyncio.all_tasks()) == tasks

    run(test())


def test_forgotten_connections_say_goodbye(run: Run) -> None:
    async def test() -> None:
        gc.collect()
        before = open_files()
        for round in range(30):
            one, other = PeerConnection(include_loopback=True), PeerConnection(include_loopback=True)
            channel = one.create_data_channel("test")
            await negotiate(one, other)
            if round % 3:
                await asyncio.gather(channel.opened(), other.connected())
            if round % 3 == 2:
                theirs = await other.accept()
                assert theirs is not None
                await channel.send("last words")
                del one, channel
                assert await theirs.receive() == "last words"
                assert await theirs.receive() is None
                await other.closed()
                del theirs
            else:
                del one, channel
            del other
        for _ in range(100):
            gc.collect()
            if open_files() <= before:
                break
            await asyncio.sleep(0.1)
        assert open_files() <= before

    run(test())


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_several_loops_in_several_threads(factory: "type[asyncio.AbstractEventLoop]") -> None:
    failures: list[BaseException] = []

    def live() -> None:
        try:
            for _ in range(3):
                with asyncio.Runner(loop_factory=factory) as runner:
                    runner.run(asyncio.wait_for(some_life(), LIMIT))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=live) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_another_loop_is_refused() -> None:
    async def use(connection: PeerConnection) -> None:
        await connection.create_offer()

    connection = PeerConnection()
    asyncio.run(use(connection))
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(use(connection))


def test_waiters_are_told_of_the_end(run: Run) -> None:
    async def test() -> None:
        async with pair() as (one, other):
            channel = one.create_data_channel("test")
            waiting = [
                asyncio.create_task(one.accept()),
                asyncio.create_task(channel.receive()),
            ]
            await negotiate(one, other)
            # Who leaves before its own handshake is done leaves without a word.
            await asyncio.gather(channel.opened(), one.connected(), other.connected())
            await other.close()
            for task in waiting:
                assert await task is None

    run(test())
