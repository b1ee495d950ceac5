"""Owns `PyREPL3Client`, the smallest client: two methods, and messages as they come over the wire."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any, AsyncIterator, Dict

from . import calls
from .address import Address
from .http_call import make_call
from .transport import ConnectionOptions
from .websocket import UpgradeRefusedError, WebSocket, problem_of


class PyREPL3Client:
    """Runs code and hands out what the service says, message by message. `AsyncClient` does more.

    >>> import asyncio
    >>> from pyrepl3 import PyREPL3Client
    >>> async def main():
    ...     client = PyREPL3Client("http://127.0.0.1:8787")
    ...     async for message in client.stream_execute("print('Hello')"):
    ...         print(message["type"])
    ...     return (await client.execute("x = 1"))["status"]
    >>> asyncio.run(main())
    output
    result
    'running'
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.client_id = str(uuid.uuid4())
        self._address = Address(base_url, client_id=self.client_id)
        self._options = ConnectionOptions()

    async def execute(self, code: str) -> Dict[str, Any]:
        """Submit code via REST; return `execution_id`, `status` (`running`) and `session` without waiting for its end."""
        return await asyncio.to_thread(
            make_call, self._address, calls.execute({"code": code}), self._options.call_seconds
        )

    async def stream_execute(self, code: str) -> AsyncIterator[Dict[str, Any]]:
        """Run code via WebSocket and yield its messages; the last one is `result`, `error` or `problem`."""
        address = self._address
        try:
            socket = await WebSocket.connect(
                address.host,
                address.port,
                address.target("/ws/v1/session", {}),
                {"host": address.netloc, **address.headers()},
                tls=address.tls,
                timeout=self._options.connect_seconds,
            )
        except UpgradeRefusedError as error:
            raise problem_of(error) from None
        try:
            execution_id = str(uuid.uuid4())
            await socket.send(json.dumps({"type": "execute", "id": execution_id, "code": code}))
            while True:
                message: Dict[str, Any] = json.loads(await socket.receive())
                if execution_id not in (message.get("id"), message["data"].get("execution_id")):
                    continue
                yield message
                if message["type"] in ("result", "error", "problem"):
                    return
        finally:
            await socket.close()
