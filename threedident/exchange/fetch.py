"""Download of one large file over HTTP, with retries and resuming.

The received bytes are kept in ``NAME.part`` beside the final path, with a note on the whole file.
The next attempt, or the next run, continues from there. The file gets its final name when it is
complete and its digest is correct.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from threedident.exchange.connections import Response
from threedident.exchange.partial import Part, Reply
from threedident.exchange.request import Hiccup, RangeRefused, open_address, read, require_address
from threedident.runtime.files import open_plain, spell_bytes
from threedident.runtime.progress import megabytes, say

_CHUNK = 2**18
_STRIDE = 2**26  # bytes between two checks of the disk space, if the size is unknown

Require = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Timeouts and retries of a download.

    Arguments:
        silence_s: seconds without a byte after which a connection has failed.
        least_bytes_s: lowest rate in bytes per second. A connection that is slower over a time of
            ``silence_s`` has failed.
        tries: number of failures in a row after which to give up. A failure after which at least
            ``least_bytes`` were received counts as the first one again.
        first_pause_s: seconds before the second attempt; each further pause is twice as long.
        longest_pause_s: upper bound of these pauses in seconds.
        longest_asked_s: longest pause in seconds that a server may ask for.
    """

    silence_s: float = 30.0
    least_bytes_s: float = 1000.0
    tries: int = 8
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    longest_asked_s: float = 3600.0

    @property
    def least_bytes(self) -> float:
        """Bytes that a working connection delivers within ``silence_s``."""
        return self.least_bytes_s * self.silence_s


def fetch(
    url: str,
    path: Path,
    md5: str,
    most: int,
    patience: Patience | None = None,
    require: Require | None = None,
) -> None:
    """Download a file to ``path``, or the missing rest of it.

    Arguments:
        url: address of the file, http or https; proxies are taken from the environment.
        path: final path, in an existing folder.
        md5: MD5 digest of the file in hexadecimal.
        most: upper bound of its size in bytes.
        patience: timeouts and retries.
        require: function that raises ValueError if the disk has too little space. It is called
            before the download with the number of missing bytes and the file's size. If the size
            is unknown, it is called every 64 MiB with 0 and the number of bytes received.

    Raises:
        ValueError: the file does not exist, the server cannot be reached or keeps failing, or the
            file is too large or has a wrong digest twice. Received bytes are kept, except in the
            last two cases.
    """
    require_address(url)
    if path.exists() and _is_right(path, md5):
        return
    path.unlink(missing_ok=True)
    part = Part(path)
    source = _Source(url, most, patience or Patience(), require)
    for attempt in ("first", "second"):
        _receive(source, part)
        if _is_right(part.path, md5):
            part.finish()
            return
        part.discard()
        say(f"{url}: expected md5 {md5}, found another at the {attempt} attempt")
    raise ValueError(
        f"{url}: expected a file of md5 {md5}, found another, twice; the file there is not the "
        "published one or is changed on its way; try another network, or another --url"
    )


def _is_right(path: Path, md5: str) -> bool:
    digest = hashlib.md5(usedforsecurity=False)
    with open_plain(path) as file, megabytes(f"check {path.stem}", path.stat().st_size) as count:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            count(len(chunk))
    return digest.hexdigest() == md5


@dataclass(frozen=True)
class _Source:
    """Address of a file, and the limits of its download."""

    url: str
    most: int
    patience: Patience
    require: Require | None

    def require_room(self, left: int, size: int) -> None:
        if self.require is not None:
            self.require(left, size)

    def too_large(self, found: str) -> ValueError:
        return ValueError(
            f"{self.url}: expected the archive, of less than {spell_bytes(self.most)}, found "
            f"{found}; check --url"
        )


def _receive(source: _Source, part: Part) -> None:
    """Send requests until the part is complete."""
    patience, failures, furthest = source.patience, 0, part.length()
    while True:
        try:
            _attempt(source, part)
            return
        except Hiccup as hiccup:
            gained = part.length() - furthest
            failures = 1 if gained >= patience.least_bytes else failures + 1
            furthest = max(furthest, part.length())
            if failures == patience.tries:
                raise ValueError(
                    f"{source.url}: expected the whole file, found {hiccup}, {failures} times in "
                    f"a row; {spell_bytes(part.length())} are kept, the same command again goes on"
                ) from None
            _pause(source.url, hiccup, failures, patience)


def _pause(url: str, hiccup: Hiccup, failures: int, patience: Patience) -> None:
    grown = min(patience.first_pause_s * 2 ** (failures - 1), patience.longest_pause_s)
    asked = hiccup.pause_s or 0.0
    if asked > patience.longest_asked_s:
        raise ValueError(
            f"{url}: expected the file, found {hiccup} and a request to wait {asked:.0f} s; the "
            "received bytes are kept, give the same command again then"
        )
    seconds = max(grown, asked)
    say(f"{url}: {hiccup}; asking again in {seconds:.0f} s")
    time.sleep(seconds)


def _attempt(source: _Source, part: Part) -> None:
    """Send one request for the missing bytes of the part."""
    if part.is_whole():
        return
    response = _ask(source, part)
    if response is None:
        return
    with response:
        reply = Reply.of(response.status, response.headers)
        if reply.start and not part.goes_on_with(reply, source.url):
            part.discard()
            raise Hiccup("another file than before")
        if reply.size is not None and reply.size > source.most:
            raise source.too_large(f"one of {spell_bytes(reply.size)}")
        if reply.left is not None:
            source.require_room(reply.left, reply.start + reply.left)
        if not reply.start:
            part.begin(reply, source.url)
        _take(response, part, reply, source)
    if reply.size is not None and part.length() < reply.size:
        raise Hiccup("a connection that ended early")


def _ask(source: _Source, part: Part) -> Response | None:
    """The server's reply, or None if the server says that nothing is missing."""
    try:
        return open_address(source.url, part.headers(source.url), source.patience.silence_s)
    except RangeRefused as refusal:
        if refusal.size == part.length():
            return None
        part.discard()
        raise Hiccup(str(refusal)) from None


def _take(response: Response, part: Part, reply: Reply, source: _Source) -> None:
    """Write the received bytes to the part.

    If the server sends more bytes than it announced, all bytes are discarded.
    """
    title = f"fetch {part.name}"
    if reply.start:
        title += f" from {spell_bytes(reply.start)} on"
    size = max(reply.start, 0)
    pace = _Pace(source.patience)
    with part.appending() as file, megabytes(title, reply.size, reply.start) as count:
        while chunk := read(response, _CHUNK):
            size += len(chunk)
            if size > (source.most if reply.size is None else reply.size):
                part.discard()
                if reply.size is None:
                    raise source.too_large("more, of unknown total size")
                raise Hiccup("more bytes than were announced")
            if reply.size is None and size // _STRIDE > (size - len(chunk)) // _STRIDE:
                source.require_room(0, size)
            file.write(chunk)
            count(len(chunk))
            pace.count(len(chunk))


class _Pace:
    """Check of the rate at which a connection delivers bytes."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._start, self._bytes = time.monotonic(), 0

    def count(self, count: int) -> None:
        """Count received bytes.

        Raises:
            Hiccup: the rate was too low over the last ``silence_s`` seconds.
        """
        self._bytes += count
        seconds = time.monotonic() - self._start
        if seconds > self._patience.silence_s:
            if self._bytes < self._patience.least_bytes_s * seconds:
                raise Hiccup(f"only {self._bytes} bytes in {seconds:.0f} s")
            self._start, self._bytes = time.monotonic(), 0
