"""Says something to the echo of `wigwag demo`: `python echo.py http://127.0.0.1:8080 [MESSAGE]`."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request

from wigwag import PeerConnection, SessionDescription


def post(url: str, body: dict[str, str]) -> dict[str, str]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, str] = json.load(response)
        return answer


async def echo(origin: str, message: str) -> str | bytes | None:
    async with PeerConnection(include_loopback=True) as connection:
        channel = connection.create_data_channel("echo")
        await connection.set_local_description()
        await connection.gathered()
        offer = connection.local_description
        assert offer is not None
        answer = await asyncio.to_thread(post, f"{origin}/api/echo", {"type": offer.type, "sdp": offer.sdp})
        await connection.set_remote_description(SessionDescription(answer["type"], answer["sdp"]))
        await channel.send(message)
        return await channel.receive()


if __name__ == "__main__":
    print(asyncio.run(echo(sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else "hello")))
