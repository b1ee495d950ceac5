"""Owns the HTTP proxy that pip uses: it passes each request to the runner over the channel, and the answer back."""

from __future__ import annotations

import base64
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .wire import KIND_BLOB, ConnectionEnded, parse_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .wire import Connection

_PASSED_ON = ("accept", "range", "if-none-match", "if-modified-since", "cache-control")


_NO_PORT = 1


class IndexProxy:
    """Listens on the loopback of the sandbox, for callers that know the secret. One request at a time goes over the channel.

    In a sandbox without a loopback it serves the pip of this process alone, over socket pairs.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        secret = os.urandom(16).hex()
        self._expected = "Basic " + base64.b64encode(f"pip:{secret}".encode()).decode()
        self.problem: str | None = None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Pass a request on."""
                proxy.serve(self)

            do_HEAD = do_GET

            def do_CONNECT(self) -> None:
                """Refuse a tunnel: the runner could not see where it leads."""
                host = self.path.rpartition(":")[0]
                self.send_error(403, f"{host} is not the package index")

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: pip tells what matters."""

        try:
            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            port = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
        except PermissionError:
            # A sandbox without namespaces has no loopback. pip runs in this process, so it needs none.
            port = _NO_PORT
            _connect_pip_to(Handler)
        self.url = f"http://pip:{secret}@127.0.0.1:{port}"

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        if handler.headers.get("proxy-authorization") != self._expected:
            handler.send_error(407)
            return
        headers = {name: value for name in _PASSED_ON if (value := handler.headers.get(name)) is not None}
        request = {"type": "fetch", "method": handler.command, "url": handler.path, "headers": headers}
        with self._lock:
            try:
                self._connection.send_message(request)
                self._answer(handler)
            except ConnectionEnded:
                handler.close_connection = True

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        head: dict[str, Any] = parse_message(*self._connection.receive())
        self.problem = head.get("problem") or self.problem
        is_open = True
        try:
            handler.send_response_only(head["status"])
            for name, value in head["headers"].items():
                handler.send_header(name, value)
            handler.send_header("connection", "close")
            handler.end_headers()
        except OSError:
            is_open = False
        while True:
            kind, piece = self._connection.receive()
            if kind != KIND_BLOB:
                # The answer broke off. pip must not take the part for the whole.
                self.problem = parse_message(kind, piece).get("problem") or self.problem
                handler.close_connection = True
                return
            if not piece:
                return
            if is_open and handler.command != "HEAD":
                try:
                    handler.wfile.write(piece)
                except OSError:
                    # pip has enough. What still comes is dropped, to keep the order of frames.
                    is_open = False


def _connect_pip_to(handler: type[BaseHTTPRequestHandler]) -> None:
    """Have pip's HTTP library connect by socket pairs, each with a thread that serves it."""
    from pip._vendor.urllib3.util import connection  # pyright: ignore[reportMissingImports]

    def create_connection(*_arguments: Any, **_options: Any) -> socket.socket:
        ours, theirs = socket.socketpair()
        threading.Thread(target=serve, args=(ours,), daemon=True).start()
        return theirs

    def serve(ours: socket.socket) -> None:
        with ours:
            handler(ours, ("127.0.0.1", _NO_PORT), None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    connection.create_connection = create_connection
