"""Records what a browser sends over SRTP, and with which keys: the files that tests/independent.rs reads.

    tests/lib/ns.sh tests/.venv/bin/python core/rtp/tests/recordings/record.py     from the root of the repository

A page in the browser offers a fake microphone and camera to aiortc, which answers with one SRTP profile only. The packets
are kept as they come from the socket, if aiortc (its libsrtp) can decrypt them. `tests/run python` makes tests/.venv.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import aioice.ice
import pylibsrtp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, rtcdtlstransport, rtcpeerconnection
from aiortc.contrib.media import MediaBlackhole

# aioice leaves loopback out of its host candidates, and there is nothing else.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

HERE = Path(__file__).resolve().parent
PROFILES = {
    1: rtcdtlstransport.SRTP_AES128_CM_SHA1_80,
    7: rtcdtlstransport.SRTP_AEAD_AES_128_GCM,
    8: rtcdtlstransport.SRTP_AEAD_AES_256_GCM,
}
LIMIT = 60.0  # seconds for a browser
ENOUGH = 30_000  # bytes of packets
ENOUGH_RTCP = 3

PAGE = """<!doctype html><script type="module">
const connection = new RTCPeerConnection();
const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 15 } });
for (const track of stream.getTracks()) connection.addTrack(track, stream);
await connection.setLocalDescription();
while (connection.iceGatheringState !== 'complete') await new Promise((done) => setTimeout(done, 50));
const response = await fetch('/offer', { method: 'POST', body: JSON.stringify(connection.localDescription) });
await connection.setRemoteDescription(await response.json());
</script>"""

FIREFOX_PREFERENCES = """
user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
"""


class Recorder(rtcdtlstransport.RTCDtlsTransport):
    """Keeps what arrives."""

    lines: list[str] = []
    size = 0
    rtcp = 0
    enough: asyncio.Event

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        (profile,) = self._srtp_profiles
        number = next(number for number, it in PROFILES.items() if it is profile)
        keys = self._ssl.export_keying_material(
            b"EXTRACTOR-dtls_srtp", 2 * (profile.key_length + profile.salt_length)
        )
        sender = profile.get_key_and_salt(keys, 1 if self._role == "client" else 0)
        key, salt = sender[: profile.key_length], sender[profile.key_length :]
        Recorder.lines += [f"profile {number}", f"key {key.hex()}", f"salt {salt.hex()}"]
        self._rx_srtp = Watched(self._rx_srtp)


class Watched:
    """libsrtp's session, and what it is given and can decrypt."""

    def __init__(self, session: pylibsrtp.Session) -> None:
        self.session = session

    def unprotect(self, data: bytes) -> bytes:
        plain = self.session.unprotect(data)
        self.keep("rtp", data)
        return plain

    def unprotect_rtcp(self, data: bytes) -> bytes:
        plain = self.session.unprotect_rtcp(data)
        Recorder.rtcp += 1
        self.keep("rtcp", data)
        return plain

    def keep(self, kind: str, data: bytes) -> None:
        if not Recorder.enough.is_set():
            Recorder.lines.append(f"{kind} {data.hex()}")
            Recorder.size += len(data)
        if Recorder.size >= ENOUGH and Recorder.rtcp >= ENOUGH_RTCP:
            Recorder.enough.set()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connections: list[RTCPeerConnection]) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:  # a browser connects ahead of time
        return writer.close()
    length = next((int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
    body, kind = PAGE.encode(), "text/html"
    if head.startswith("POST /offer"):
        offer = json.loads(await reader.readexactly(length))
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connections.append(connection)
        sink = MediaBlackhole()
        connection.on("track", sink.addTrack)
        await connection.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
        await connection.setLocalDescription(await connection.createAnswer())
        await sink.start()
        answer = connection.localDescription
        body, kind = json.dumps({"type": answer.type, "sdp": answer.sdp}).encode(), "application/json"
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


async def browser(name: str, profile_folder: str, url: str) -> asyncio.subprocess.Process:
    if name == "chromium":
        command = [
            os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--no-first-run", f"--user-data-dir={profile_folder}",
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns", url,
        ]  # fmt: skip
    else:
        (Path(profile_folder) / "user.js").write_text(FIREFOX_PREFERENCES)
        command = [os.environ.get("FIREFOX", "firefox-esr"), "--headless", "--no-remote", "--profile", profile_folder, url]
    quiet = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet, start_new_session=True)


async def record(name: str, number: int) -> None:
    Recorder.lines, Recorder.size, Recorder.rtcp, Recorder.enough = [], 0, 0, asyncio.Event()
    rtcdtlstransport.SRTP_PROFILES[:] = [PROFILES[number]]
    connections: list[RTCPeerConnection] = []
    server = await asyncio.start_server(lambda *streams: serve(*streams, connections), "127.0.0.1", 0)
    url = f"http://localhost:{server.sockets[0].getsockname()[1]}/"
    folder = tempfile.mkdtemp()
    process = await browser(name, folder, url)
    try:
        await asyncio.wait_for(Recorder.enough.wait(), LIMIT)
    finally:
        os.killpg(process.pid, 9)
        await process.wait()
        for connection in connections:
            await connection.close()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    path = HERE / f"{name}-{number}.txt"
    path.write_text(f"# What {name} sent to aiortc; see record.py.\n" + "\n".join(Recorder.lines) + "\n")
    print(f"{path.name}: {len(Recorder.lines) - 3} packets of {Recorder.size} bytes, {Recorder.rtcp} of RTCP")


async def main() -> None:
    rtcpeerconnection.RTCDtlsTransport = Recorder
    for name in sys.argv[1:] or ["chromium", "firefox"]:
        for number in PROFILES:
            await record(name, number)


asyncio.run(main())
