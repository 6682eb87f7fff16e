"""One HTTP request, with failures sorted into temporary and permanent ones."""

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

_WORDS = 100  # characters of a server's text quoted in a message
_MOST_DIGITS = 18  # digits of a number of bytes or seconds
# temporary failures among the statuses below 500
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class Hiccup(Exception):  # noqa: N818
    """A temporary failure of a request: another attempt may succeed.

    Arguments:
        what: description of the failure.
        pause_s: seconds that the server asks to wait, or None.
    """

    def __init__(self, what: str, pause_s: float | None = None) -> None:
        super().__init__(what)
        self.pause_s = pause_s


class RangeRefused(Exception):  # noqa: N818
    """The server does not have the requested part of the file.

    Arguments:
        what: status of the reply.
        content_range: its header ``Content-Range``, such as ``bytes */1000``, or None.
    """

    def __init__(self, what: str, content_range: str | None) -> None:
        super().__init__(what)
        self.size = number((content_range or "").removeprefix("bytes */"))


def number(text: str | None) -> int | None:
    """The whole number in a header's text; None if it is not one, or has too many digits."""
    if text is None or len(text) > _MOST_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)


def require_address(url: str) -> None:
    """Check that an address begins with ``http://`` or ``https://``.

    Raises:
        ValueError: it does not.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(
            f"--url: expected an address that begins with http:// or https://, found {url!r}"
        )


def open_address(url: str, headers: Mapping[str, str], silence_s: float) -> Response:
    """Request a file. Proxies are taken from the environment.

    Arguments:
        url: address of the file.
        headers: headers to send in addition to the standard ones.
        silence_s: timeout in seconds for connecting, for receiving the headers, and for each
            further piece.

    Returns:
        The reply, with a status of success.

    Raises:
        Hiccup: the failure is temporary, so another attempt may succeed.
        RangeRefused: the server does not have the requested part.
        ValueError: the failure is permanent.
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
    """The exception for a status that is not a success."""
    words = printable(f"HTTP status {error.code} {error.reason}", _WORDS)
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeRefused(words, error.headers.get("Content-Range"))
    if error.code in _PASSING or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Hiccup(words, _asked_pause(error.headers.get("Retry-After")))
    return ValueError(f"{url}: expected the archive, found {words}; check --url")


def _asked_pause(text: str | None) -> float | None:
    """Seconds to wait according to a header ``Retry-After``, which is a number or a date."""
    seconds = number(text)
    if text is None or seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):  # the date is not valid
        return None


def read(response: Response, most: int) -> bytes:
    """The next bytes of a reply, at most ``most``; empty at its end.

    Raises:
        Hiccup: the connection failed or timed out.
    """
    try:
        return response.piece(most)
    except (OSError, http.client.HTTPException) as error:
        raise Hiccup(_spell(error)) from None


def _broken(url: str, error: Exception) -> Exception:
    """The exception for a request without a reply."""
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
