"""A real HTTP server on this machine that misbehaves in the ways it is asked to."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Serves ``files`` by name; the first requests get the answers in ``plan``, if any."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.plan: list[Answer] = []
        self.etag: str | None = '"1"'
        self.asked: list[dict[str, str]] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        """The ``Range`` of each request so far."""
        return [headers.get("Range") for headers in self.asked]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that are gone."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        answer = self.server.plan.pop(0) if self.server.plan else whole
        answer(self)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    @property
    def content(self) -> bytes:
        return self.server.files.get(self.path.strip("/"), b"")

    def start(self) -> int:
        """Send the head of a reply that honours ``Range``; the first byte it will hold."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition, size = self.headers.get("If-Range"), len(self.content)
        first = int(match[1]) if match and condition in (None, self.server.etag) else 0
        if first:
            self.head(206, size - first, **{"Content-Range": f"bytes {first}-{size - 1}/{size}"})
        else:
            self.head(200, size)
        return first

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.server.etag is not None and status < 300:
            self.send_header("ETag", self.server.etag)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def whole(handler: Handler) -> None:
    if handler.content:
        handler.wfile.write(handler.content[handler.start() :])
    else:
        handler.head(404, 0)


def cut(count: int) -> Answer:
    """Close the connection after so many bytes of the body."""

    def answer(handler: Handler) -> None:
        first = handler.start()
        handler.wfile.write(handler.content[first : first + count])

    return answer


def stall(count: int) -> Answer:
    """Fall silent after so many bytes of the body."""

    def answer(handler: Handler) -> None:
        cut(count)(handler)
        handler.wfile.flush()
        handler.server.closing.wait()

    return answer


def silent(handler: Handler) -> None:
    handler.server.closing.wait()


def corrupt(handler: Handler) -> None:
    content = handler.content[handler.start() :]
    handler.wfile.write(content[:-9] + bytes(byte ^ 255 for byte in content[-9:]))


def without_range(handler: Handler) -> None:
    handler.head(200, len(handler.content))
    handler.wfile.write(handler.content)


def without_length(handler: Handler) -> None:
    handler.head(200, None)
    handler.wfile.write(handler.content)


def other_range(handler: Handler) -> None:
    """A part that nobody asked for."""
    handler.head(206, 3, **{"Content-Range": f"bytes 1-3/{len(handler.content)}"})
    handler.wfile.write(handler.content[1:4])


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.head(code, 0, **named)


def raw(said: bytes) -> Answer:
    """Say just this, and close the connection."""
    return lambda handler: _say(handler, said)


def _say(handler: Handler, said: bytes) -> None:
    handler.wfile.write(said)
    handler.wfile.flush()
    handler.close_connection = True


def drip(at_once: bytes, slowly: bytes) -> Answer:
    """Say the first part at once, and the rest byte by byte, without an end."""

    def answer(handler: Handler) -> None:
        _say(handler, at_once)
        with suppress(OSError):
            for byte in slowly:
                if handler.server.closing.wait(0.1):
                    return
                _say(handler, bytes([byte]))
            handler.server.closing.wait()

    return answer


def redirect(target: str) -> Answer:
    return status(302, Location=target)


def endless(how: str = "", **headers: str) -> Answer:
    """A body that does not end: as it is, ``chunked``, or that of a ``redirect``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if how == "chunked":
        named["Transfer-Encoding"] = "chunked"
    piece = b"ffff\r\n" + bytes(0xFFFF) + b"\r\n" if how == "chunked" else bytes(0xFFFF)

    def answer(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.head(302 if how == "redirect" else 200, None, **named)
        handler.close_connection = True
        with suppress(OSError):
            while not handler.server.closing.is_set():
                handler.wfile.write(piece)

    return answer


def drop(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        with suppress(OSError):
            server.server_close()
        thread.join()
