#!/usr/bin/env python3
"""A bad cable. Runs a command in a new network namespace with one neighbour, another new namespace, and nothing else:

    unshare --net tests/lib/wire.py [--loss PERCENT] [--delay MS] [--seed N] COMMAND...

The two are joined by a TAP device in each, whose frames go through this process. Of the UDP datagrams it loses the
given percentage, each way, after a sequence of its own that the seed decides: the n-th datagram of a way is lost in
every run or in none. All else (ARP, and the TCP that the test itself needs) only takes the delay, which is one way.

The command is told in its environment:

    WIRE_NEAR, WIRE_FAR   the addresses of its own namespace and of the other
    WIRE_ENTER            a command line that runs what follows it in the other namespace

Works as root, and as a user under "unshare --map-root-user --net" where the machine allows it. How many frames were
carried and lost is printed to stderr at the end; the exit code is the command's.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import heapq
import os
import random
import selectors
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field

NEAR, FAR, PREFIX = "10.77.0.1", "10.77.0.2", 24
FRAME = 65_536
MOST_AT_ONCE = 64  # frames read from one device before the other has its turn
QUEUE = 1_000  # frames under way each way; more than that much delay and traffic ever need

CLONE_NEWNET = 0x4000_0000
TUNSETIFF = 0x4004_54CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def libc(name: str, *arguments: int) -> None:
    """Calls what Python 3.11 has no name for yet."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def tap(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def furnish(own: str, other: str) -> int:
    """Gives the namespace that this process is in its end of the cable. Returns the TAP."""
    device = tap("wire")
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{own}/{PREFIX}", "dev", "wire")
    # Nobody needs IPv6 here, and an address of it that appears a second later makes Chromium give up what it was loading.
    ip("link", "set", "wire", "addrgenmode", "none")
    ip("link", "set", "wire", "up")
    ip("route", "add", "default", "via", other)  # without one, browsers gather nothing
    return device


def is_udp(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x11"


@dataclass
class Way:
    """One direction of the cable."""

    name: str
    out: int
    random: random.Random
    carried: int = 0
    lost: int = 0
    under_way: int = 0


@dataclass
class Cable:
    loss: float
    """The probability that a UDP datagram is lost."""
    delay: float
    """Seconds, one way."""
    queue: list[tuple[float, int, Way, bytes]] = field(default_factory=list)
    number: int = 0

    def take(self, device: int, way: Way) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                frame = os.read(device, FRAME)
            except BlockingIOError:
                return
            if is_udp(frame) and way.random.random() < self.loss:
                way.lost += 1
            elif way.under_way < QUEUE:
                self.number += 1
                way.under_way += 1
                heapq.heappush(self.queue, (time.monotonic() + self.delay, self.number, way, frame))

    def give(self) -> float | None:
        """Hands out what is due; gives the seconds until more is."""
        while self.queue:
            wait = self.queue[0][0] - time.monotonic()
            if wait > 0:
                return wait
            _, _, way, frame = heapq.heappop(self.queue)
            way.under_way -= 1
            try:
                os.write(way.out, frame)
                way.carried += 1
            except OSError:
                way.lost += 1  # the device is full, or going down
        return None


def carry(cable: Cable, ways: dict[int, Way], child: subprocess.Popen[bytes]) -> int:
    """Until the child ends. Gives its exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: child.send_signal(number))
    try:
        with selectors.DefaultSelector() as selector:
            gone = os.pidfd_open(child.pid)
            for source in (*ways, gone):
                selector.register(source, selectors.EVENT_READ)
            while child.poll() is None:
                for key, _ in selector.select(cable.give()):
                    if key.fd != gone:
                        cable.take(key.fd, ways[key.fd])
    finally:
        child.kill()
    return child.wait()


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--loss", type=float, default=0.0, metavar="PERCENT")
    arguments.add_argument("--delay", type=float, default=0.0, metavar="MS", help="one way")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("command", nargs=argparse.REMAINDER)
    options = arguments.parse_args()

    if not options.command:
        arguments.error("a command is missing")
    if subprocess.run(["ip", "link", "show", "up"], check=True, capture_output=True).stdout:
        sys.exit("wire.py: start it in a new network namespace (unshare --net); this one is in use")
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc("unshare", CLONE_NEWNET)
    far = furnish(FAR, NEAR)
    holder = subprocess.Popen(["sleep", "infinity"])  # keeps the far namespace, and gives it a name: its process id
    libc("setns", here, CLONE_NEWNET)
    near = furnish(NEAR, FAR)

    enter = f"nsenter --net=/proc/{holder.pid}/ns/net --"
    environment = {**os.environ, "WIRE_NEAR": NEAR, "WIRE_FAR": FAR, "WIRE_ENTER": enter}
    ways = {
        near: Way("from near to far", far, random.Random(f"{options.seed} near")),
        far: Way("from far to near", near, random.Random(f"{options.seed} far")),
    }
    cable = Cable(options.loss / 100, options.delay / 1000)
    try:
        child = subprocess.Popen(options.command, env=environment)
        code = carry(cable, ways, child)
    finally:
        holder.kill()
    for way in ways.values():
        print(f"wire.py: {way.name}: {way.carried} frames carried, {way.lost} lost", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
