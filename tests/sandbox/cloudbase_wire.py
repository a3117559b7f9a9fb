"""A client of CloudBase over real sockets."""

import json
from typing import Any

from tests.sandbox.cloudbase_bed import ENV, TOKEN, V1
from tests.sandbox.conftest import Answer, Peer


async def mint(peer: Peer, label: str = "a", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await peer.control("POST", "/cloudbase/mint", label=label, **more))["grants"][0]
    return answer


def body_of(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "client_id": ENV, "client_secret": "", "refresh_token": token}


async def refresh(peer: Peer, token: str) -> Answer:
    return await peer.call("POST", TOKEN, json=body_of(token))


async def raw(peer: Peer, token: str) -> bytes:
    """Post over a bare socket; all bytes until the service closes."""
    reader, writer = await peer.dial()
    writer.write(request_bytes(token))
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def request_bytes(token: str) -> bytes:
    body = json.dumps(body_of(token)).encode()
    head = f"POST {TOKEN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def opened(peer: Peer, redirect_uri: str = "http://127.0.0.1:9999/back") -> str:
    asked = {"redirect_uri": redirect_uri, "state": "s t"}
    url: str = (await peer.call("POST", f"{V1}/captcha/init", json=asked)).json["url"]
    assert url.startswith(peer.running.base_url)
    return url.removeprefix(peer.running.base_url)
