"""The process in which encoders of strangers are parsed and run: no files, no network, limits.

``python -m benchmark.leaderboard.sandbox`` reads one request from standard input and answers on
standard output. A request is a line of JSON, see :mod:`benchmark.leaderboard.sandbox.sandbox`,
then the model's bytes, then the images', or another model's. The answer is a line that says why
there is none, or an empty line and the codes of every pass in float32, or the share of weights in
float64.

The process leaves the network before it imports more than Python's own modules, so that no
library can keep a thread there. Before a byte of the model is parsed, it gives up the rest, see
:mod:`benchmark.leaderboard.sandbox.confinement`.
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
