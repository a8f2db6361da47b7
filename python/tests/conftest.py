"""Pairs of connections, loops to run them on, and the server under test."""

from __future__ import annotations

import asyncio
import importlib.util
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import uvloop

from wigwag import DataChannel, PeerConnection, SessionDescription

LIMIT = 60.0  # seconds, for a whole test
Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]


class ProactorLike(asyncio.SelectorEventLoop):
    """A loop without `add_reader`, as Windows has it."""

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
    "proactor-like": ProactorLike,
}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test on each kind of loop."""

    def run(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(test, LIMIT))

    return run


def description(connection: PeerConnection) -> SessionDescription:
    found = connection.local_description
    assert found is not None
    return found


async def negotiate(offerer: PeerConnection, answerer: PeerConnection) -> None:
    await offerer.set_local_description()
    await offerer.gathered()
    await answerer.set_remote_description(description(offerer))
    await answerer.set_local_description()
    await answerer.gathered()
    await offerer.set_remote_description(description(answerer))


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[PeerConnection, PeerConnection]]:
    one = PeerConnection(include_loopback=True, close_timeout=1)
    other = PeerConnection(include_loopback=True, close_timeout=1)
    async with one, other:
        yield one, other


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[DataChannel, DataChannel]]:
    """Both ends of an open data channel."""
    async with pair() as (one, other):
        ours = one.create_data_channel("test")
        await negotiate(one, other)
        theirs = await other.accept()
        assert theirs is not None
        await asyncio.gather(ours.opened(), one.connected(), other.connected())
        yield ours, theirs


def _server_module() -> Any:
    """`Server` of tests/python, where aiortc is tested against the same command."""
    path = Path(__file__).resolve().parents[2] / "tests" / "python" / "conftest.py"
    spec = importlib.util.spec_from_file_location("wigwag_server", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `wigwag demo` is."""
    server = _server_module().Server(tmp_path_factory.mktemp("server") / "log")
    yield server.origin
    server.stop()
    server.process.stdout.close()
