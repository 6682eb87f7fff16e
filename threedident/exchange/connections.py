"""HTTP connections with a deadline for each piece, and with redirects only to HTTP addresses.

The timeout of a socket applies to each single read, so a server that sends its headers byte by
byte could take days. In this module, all headers together, and then each further piece, must
arrive within the timeout.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from threedident.runtime.errors import printable


class _Deadline:
    """Timer thread that shuts a socket down unless it is renewed in time."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._seconds = line, line.gettimeout()
        self.passed = False
        self._end = threading.Event()
        self.renew()
        if self._seconds is not None:
            threading.Thread(target=self._run, daemon=True).start()

    def renew(self) -> None:
        self._due = time.monotonic() + (self._seconds or 0.0)

    def stop(self) -> None:
        self._end.set()

    def _run(self) -> None:
        while (left := self._due - time.monotonic()) > 0:
            if self._end.wait(left):
                return
        self.passed = True
        with suppress(OSError):  # the socket is already closed
            self._line.shutdown(socket.SHUT_RDWR)


class Response(http.client.HTTPResponse):
    """A reply whose headers and pieces must each arrive within the timeout."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self._line = sock
        self._deadline: _Deadline | None = None

    def begin(self) -> None:
        """Read the status and all headers.

        Raises:
            TimeoutError: the headers did not arrive in time.
        """
        self._deadline = _Deadline(self._line)
        try:
            super().begin()
        except (OSError, http.client.HTTPException):
            self._deadline.stop()
            self._require_in_time()
            raise
        self._require_in_time()

    def piece(self, most: int) -> bytes:
        """The next bytes, at most ``most``; empty at the end of the reply.

        Raises:
            TimeoutError: no bytes arrived in time.
        """
        assert self._deadline is not None
        self._deadline.renew()
        try:
            found = self.read1(most)
        except (OSError, http.client.HTTPException):
            self._require_in_time()  # the shutdown of the socket may show as any of these
            raise
        if not found:
            self._require_in_time()
        return found

    def close(self) -> None:
        """Close the connection."""
        if self._deadline is not None:
            self._deadline.stop()
        super().close()

    def _require_in_time(self) -> None:
        if self._deadline is not None and self._deadline.passed:
            raise TimeoutError


class _Connection(http.client.HTTPConnection):
    response_class = Response


class _SecureConnection(http.client.HTTPSConnection):
    response_class = Response


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Secure(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        """Follow a redirect without reading its body.

        Raises:
            ValueError: the redirect leads to an address that is not HTTP.
        """
        fp.close()
        target = str(headers.get("Location", ""))
        if not _is_http(req.full_url, target):
            raise ValueError(
                f"{req.full_url}: expected the archive, found a redirect to {printable(target)}, "
                "which is not an HTTP address; check --url"
            )
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _is_http(base: str, target: str) -> bool:
    try:
        return urlsplit(urljoin(base, target)).scheme in ("http", "https")
    except ValueError:
        return False


def opener() -> urllib.request.OpenerDirector:
    """An opener of HTTP addresses, which takes proxies from the environment."""
    return urllib.request.build_opener(_Plain, _Secure, _Redirects)
