"""The process that parses and runs untrusted encoders, without files or network and with limits.

``python -m benchmark.leaderboard.sandbox`` reads one request from standard input and writes the
answer to standard output. A request is a line of JSON, see
:mod:`benchmark.leaderboard.sandbox.sandbox`, followed by the bytes of the model and the bytes of
the images or of another model. The answer to a valid request is an empty line, followed by the
codes of every pass in float32, or by the share of weights in float64. Otherwise the answer is a
line with the reason.

The process leaves the network before it imports anything but standard modules of Python, so that
no library can keep a thread in the network. It gives up files, rights and system calls before it
parses the first byte of the model, see :mod:`benchmark.leaderboard.sandbox.confinement`.
"""

from __future__ import annotations

import json
import sys
from typing import BinaryIO

from benchmark.leaderboard.sandbox.confinement import leave_network, lock_down
from threedident.runtime.machine import die_with


def _read(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) != count:
        sys.exit("the request was cut short")
    return content


def main() -> None:
    """Answer one request."""
    parent = int(sys.argv[1])
    leave_network()
    die_with(parent)
    import numpy as np

    from benchmark.leaderboard.sandbox.graph import parse
    from benchmark.leaderboard.sandbox.inference import answer, warm_up
    from benchmark.leaderboard.sandbox.weights import shared_weights

    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    request = json.loads(stdin.readline())
    model = _read(stdin, request["model_bytes"])
    compared = "other_bytes" in request
    if compared:
        other = _read(stdin, request["other_bytes"])
    else:
        shape = (request["images"], request["resolution"], request["resolution"], 3)
        images = np.frombuffer(_read(stdin, int(np.prod(shape))), np.uint8).reshape(shape)
    warm_up()
    lock_down(request["memory"], request["seconds"])
    try:
        if compared:
            found = [np.float64(shared_weights(parse(model), parse(other)))]
        else:
            found = answer(request, model, images)
    except ValueError as error:
        stdout.write(" ".join(str(error).split()).encode(errors="replace") + b"\n")
    else:
        stdout.write(b"\n")
        for part in found:
            stdout.write(part.tobytes())
    stdout.flush()


if __name__ == "__main__":
    main()
