"""One HTTP request, and what its failures mean: try again, or never mind."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from threedident import __version__
from threedident.exchange.connections import Response, opener
from threedident.runtime.errors import printable

_WORDS = 100  # characters of a server's own that a line quotes
_MOST_DIGITS = 18  # of a number of bytes or seconds
# statuses below 500 that another try may not meet
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class Hiccup(Exception):  # noqa: N818
    """A request failed in a way that another may not.

    Arguments:
        what: found in place of a reply.
        pause_s: seconds that the server wishes to be left alone.
    """

    def __init__(self, what: str, pause_s: float | None = None) -> None:
        super().__init__(what)
        self.pause_s = pause_s


class RangeRefused(Exception):  # noqa: N818
    """The server has no such part of the file.

    Arguments:
        what: its words.
        content_range: its header of that name, such as ``bytes */1000``.
    """

    def __init__(self, what: str, content_range: str | None) -> None:
        super().__init__(what)
        self.size = number((content_range or "").removeprefix("bytes */"))


def number(text: str | None) -> int | None:
    """A whole number as headers write it; None where it is none, or of senseless length."""
    if text is None or len(text) > _MOST_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)


def require_address(url: str) -> None:
    """Check that an address is one of HTTP.

    Raises:
        ValueError: it is not.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(
            f"--url: expected an address that begins with http:// or https://, found {url!r}"
        )


def open_address(url: str, headers: Mapping[str, str], silence_s: float) -> Response:
    """Ask for a file; proxies are taken from the environment.

    Arguments:
        url: its address.
        headers: to send beside our own.
        silence_s: seconds after which the connection counts as dead: until it is there, until
            the head of its answer is there, and from piece to piece.

    Returns:
        The reply, of a status that means success.

    Raises:
        Hiccup: another try may succeed.
        RangeRefused: the part that was asked for is not there.
        ValueError: asking again would be in vain.
    """
    ours = {"User-Agent": f"threedident/{__version__}", "Accept-Encoding": "identity"}
    try:
        request = urllib.request.Request(url, headers={**ours, **headers})
        response = opener().open(request, timeout=silence_s)
    except urllib.error.HTTPError as error:
        with closing(error):
            raise _refusal(url, error) from None
    except (http.client.InvalidURL, UnicodeError) as error:
        raise ValueError(f"--url: expected an address, found {url!r} ({error})") from None
    except (OSError, http.client.HTTPException) as error:
        raise _broken(url, error) from None
    assert isinstance(response, Response)
    return response


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    """What to raise for a status that is no success."""
    words = printable(f"HTTP status {error.code} {error.reason}", _WORDS)
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeRefused(words, error.headers.get("Content-Range"))
    if error.code in _PASSING or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Hiccup(words, _asked_pause(error.headers.get("Retry-After")))
    return ValueError(f"{url}: expected the archive, found {words}; check --url")


def _asked_pause(text: str | None) -> float | None:
    """The seconds of a ``Retry-After``: a number or a date."""
    seconds = number(text)
    if text is None or seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):  # of years and zones that there are not
        return None


def read(response: Response, most: int) -> bytes:
    """Bytes of a reply as they come in, up to ``most``; none at its end.

    Raises:
        Hiccup: the connection is dead.
    """
    try:
        return response.piece(most)
    except (OSError, http.client.HTTPException) as error:
        raise Hiccup(_spell(error)) from None


def _broken(url: str, error: Exception) -> Exception:
    """What to raise where no reply came."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return ValueError(
            f"{url}: expected a server with a valid certificate, found {reason.verify_message}; "
            "check this machine's clock and certificates, or give another --url"
        )
    return Hiccup(_spell(reason))


def _spell(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, http.client.IncompleteRead):
        return "a connection that ended early"
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"no connection ({printable(text, _WORDS)})"
