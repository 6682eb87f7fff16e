"""The secret of a season. It is kept in a file and never appears on a command line.

References:
    Edwards-Curve Digital Signature Algorithm, RFC 8032, https://www.rfc-editor.org/rfc/rfc8032
    ChaCha20 and Poly1305 for IETF Protocols, RFC 8439, https://www.rfc-editor.org/rfc/rfc8439
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from threedident.runtime.files import read_plain, sha256

STDIN = Path("-")
_FORM = re.compile(r"[0-9a-f]{32,128}")  # at least 128 bits
_LEAST_DISTINCT = 7  # different digits; two of 10^10 random secrets have fewer
_BYTES = 32
_NONCE, _TAG = 12, 16  # bytes
_MOST_BYTES = 4096


class Secret:
    """The secret that determines the fresh split and the signatures of a season.

    Arguments:
        text: 32 to 128 random hexadecimal digits, as made by ``season open``.

    Raises:
        ValueError: the text has another form, or repeats itself, so it could be guessed.
    """

    OVERHEAD = _NONCE + _TAG

    def __init__(self, text: str) -> None:
        formed = _FORM.fullmatch(text) is not None
        if not formed or _repeats(text):
            what = "some that repeat themselves" if formed else f"{len(text)} other characters"
            raise ValueError(
                "secret: expected 32 to 128 random digits of 0 to 9 and a to f, found "
                f"{what}, which could be guessed; let threedident leaderboard season open make it"
            )
        self._text = text.encode()

    @property
    def text(self) -> str:
        """The secret as text, which is published when its season ends."""
        return self._text.decode()

    @property
    def commitment(self) -> str:
        """SHA-256 of the secret."""
        return sha256(self._text)

    @property
    def public_key(self) -> str:
        """The public key that verifies its signatures, in hexadecimal."""
        return self._key().public_key().public_bytes_raw().hex()

    def number(self, purpose: str) -> int:
        """A seed of 63 bits for one purpose. It does not reveal the seeds of other purposes."""
        return int(sha256(purpose.encode() + b"\n" + self._text)[:16], 16) >> 1

    def sign(self, content: bytes) -> str:
        """The signature of ``content`` in hexadecimal."""
        return self._key().sign(content).hex()

    def encrypt(self, content: bytes, name: str) -> bytes:
        """The content, encrypted and authenticated, with :attr:`OVERHEAD` more bytes.

        Arguments:
            content: what is encrypted.
            name: name of the content, which :meth:`decrypt` needs.
        """
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher().encrypt(nonce, content, name.encode())

    def decrypt(self, encrypted: bytes, name: str) -> bytes:
        """The content that was encrypted under a name.

        Raises:
            ValueError: it was encrypted with another secret or name, or was changed.
        """
        nonce, rest = encrypted[:_NONCE], encrypted[_NONCE:]
        try:
            return self._cipher().decrypt(nonce, rest, name.encode())
        except (InvalidTag, ValueError):
            raise ValueError(
                f"{name}: expected content that this secret encrypted, found other; restore it"
            ) from None

    def _cipher(self) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(bytes.fromhex(sha256(b"codes\n" + self._text)))

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex(sha256(b"signature\n" + self._text))
        )


def is_signed(content: bytes, signature: str, public_key: str) -> bool:
    """True if ``signature`` is a signature of ``content`` that fits the public key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def make_secret(path: Path) -> Secret:
    """Make a random secret, and write it to a new file that only its owner can read.

    Raises:
        FileExistsError: the file exists.
    """
    text = secrets.token_hex(_BYTES)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(f"{text}\n")
            file.flush()
            os.fsync(handle)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
    return Secret(text)


def read_secret(path: Path) -> Secret:
    """The secret in a file, or in standard input for the path ``-``.

    Raises:
        ValueError: there is no valid secret. The message does not repeat the input, because it may
            be a secret.
    """
    if path == STDIN:
        return _secret(sys.stdin.buffer.read(_MOST_BYTES + 1), "standard input")
    try:
        content = read_plain(path, _MOST_BYTES)
    except ValueError:
        raise ValueError(
            f"--secret: expected a plain file of at most {_MOST_BYTES} bytes, found another kind "
            "or more; give - to read it from standard input"
        ) from None
    except OSError as error:
        raise ValueError(
            "--secret: expected a file with the secret, or - for standard input, found "
            f"{(error.strerror or 'none').lower()}; the secret itself does not go on a command "
            "line, where other users see it"
        ) from None
    return _secret(content, "that file")


def is_open_to_others(path: Path) -> bool:
    """True if other users can access the file of a secret, or own it."""
    if path == STDIN:
        return False
    status = path.stat()
    return bool(status.st_mode & 0o077) or status.st_uid != os.geteuid()


def _secret(content: bytes, place: str) -> Secret:
    try:
        return Secret(content.decode("ascii").strip())
    except UnicodeDecodeError:
        raise ValueError(
            f"secret: expected digits of 0 to 9 and a to f in {place}, found bytes that are not "
            "text; give the file that threedident leaderboard season open made"
        ) from None


def _repeats(text: str) -> bool:
    """True if the text repeats a shorter text, or has few different digits."""
    again = any(text.startswith(text[period:]) for period in range(1, len(text) // 2 + 1))
    return again or len(set(text)) < _LEAST_DISTINCT
