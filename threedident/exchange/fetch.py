"""Fetches one large file over HTTP, whatever the line does.

What has come in lies beside the file's place, in ``NAME.part`` with a note on what it is part of,
and is gone on with by the next attempt, or by the next run. The file takes its name when it is
whole and its digest is the right one.
"""

from __future__ import annotations

import hashlib
import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from threedident.disk import spell_bytes
from threedident.exchange.asking import Hiccup, RangeRefused, open_address, read, require_address
from threedident.exchange.megabytes import megabytes
from threedident.exchange.partial import Part, Reply
from threedident.progress import say
from threedident.storage import open_plain

_CHUNK = 2**18

Require = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server, and how often to ask it again.

    Arguments:
        silence_s: seconds without a byte after which a connection counts as dead.
        tries: attempts in a row that bring nothing new, after which to give up.
        first_pause_s: seconds before the second of them; each further pause is twice as long.
        longest_pause_s: seconds beyond which pauses do not grow.
        longest_asked_s: the longest pause in seconds that a server may ask for.
    """

    silence_s: float = 30.0
    tries: int = 8
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    longest_asked_s: float = 3600.0


def fetch(
    url: str,
    path: Path,
    md5: str,
    patience: Patience | None = None,
    require: Require | None = None,
) -> None:
    """Bring a file to ``path``, or what is missing of it.

    Arguments:
        url: its address, http or https; proxies are taken from the environment.
        path: its place, in a folder that is there.
        md5: its digest in hexadecimal.
        patience: with the server.
        require: called before bytes come in with how many there will be and with the file's
            size; raises ValueError where they have no room.

    Raises:
        ValueError: there is no such file, the server cannot be reached or keeps failing, or what
            it sends has another digest, twice. What has come in stays, except in the last case.
    """
    require_address(url)
    if path.exists() and _is_right(path, md5):
        return
    path.unlink(missing_ok=True)
    part = Part(path)
    for attempt in ("first", "second"):
        _receive(url, part, patience or Patience(), require)
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


def _receive(url: str, part: Part, patience: Patience, require: Require | None) -> None:
    """Ask until the part is whole."""
    failures, most = 0, part.length()
    while True:
        try:
            _attempt(url, part, patience, require)
            return
        except Hiccup as hiccup:
            failures = 1 if part.length() > most else failures + 1
            most = max(most, part.length())
            if failures == patience.tries:
                raise ValueError(
                    f"{url}: expected the whole file, found {hiccup}, {failures} times in a row; "
                    f"{spell_bytes(part.length())} are kept, the same command again goes on"
                ) from None
            _pause(url, hiccup, failures, patience)


def _pause(url: str, hiccup: Hiccup, failures: int, patience: Patience) -> None:
    grown = min(patience.first_pause_s * 2 ** (failures - 1), patience.longest_pause_s)
    asked = hiccup.pause_s or 0.0
    if asked > patience.longest_asked_s:
        raise ValueError(
            f"{url}: expected the file, found {hiccup} with a wish for {asked:.0f} s of peace; "
            "what came in is kept, give the same command again then"
        )
    seconds = max(grown, asked)
    say(f"{url}: {hiccup}; asking again in {seconds:.0f} s")
    time.sleep(seconds)


def _attempt(url: str, part: Part, patience: Patience, require: Require | None) -> None:
    """One request, for what is missing of the part."""
    if part.is_whole():
        return
    response = _ask(url, part, patience.silence_s)
    if response is None:
        return
    with response:
        reply = Reply.of(response.status, response.headers)
        if reply.start and not part.goes_on_with(reply, url):
            part.discard()
            raise Hiccup("another file than before")
        if require is not None and reply.left is not None:
            require(reply.left, reply.start + reply.left)
        if not reply.start:
            part.begin(reply, url)
        _take(response, part, reply)
    if reply.size is not None and part.length() < reply.size:
        raise Hiccup("a connection that ended early")


def _ask(url: str, part: Part, silence_s: float) -> http.client.HTTPResponse | None:
    """The server's reply; None where it says that nothing is missing."""
    try:
        return open_address(url, part.headers(url), silence_s)
    except RangeRefused as refusal:
        if refusal.size == part.length():
            return None
        part.discard()
        raise Hiccup(str(refusal)) from None


def _take(response: http.client.HTTPResponse, part: Part, reply: Reply) -> None:
    title = f"fetch {part.name}"
    if reply.start:
        title += f" from {spell_bytes(reply.start)} on"
    total = None if reply.left is None else reply.start + reply.left
    with part.appending() as file, megabytes(title, total, reply.start) as count:
        while chunk := read(response, _CHUNK):
            file.write(chunk)
            count(len(chunk))
