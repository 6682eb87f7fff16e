"""Commands in processes of their own that need not import torch again, which takes seconds each.

A process that has imported what commands need, and does nothing else, forks one for each command.
That one is the child of the test: it has an id of its own, takes signals, can be killed, and ends
as any other. What depends on how Python itself starts takes :func:`tests.conftest.start_anew`.

``python -P -m tests.prepared SOCKET`` is that process.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

IMPORTED = (
    "torch._dynamo",
    "torch.distributed.fsdp",
    "torchvision.models",
    "torchvision.transforms.v2",
    "scipy.stats.sampling",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "PIL.PngImagePlugin",
    "onnx",
    "benchmark.cli",
    "benchmark.comparison.cli",
    "benchmark.leaderboard.cli",
    "benchmark.leaderboard.submission.submit",
    "benchmark.leaderboard.verification.verify",
    "benchmark.runs.reports.report",
    "benchmark.sources.images",
    "benchmark.sources.kitti_masks.masks",
    "benchmark.suites.report",
    "benchmark.training.trainer",
    "render.cli",
    "threedident.exchange.commands",
    "threedident.commands",
    "threedident.preview",
)
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: whose orphaned grandchildren become its children
_LONGEST = 2**18
_ROOT = Path(__file__).parents[1]


class Prepared(subprocess.Popen[str]):
    """``threedident ARGUMENTS`` in a forked process.

    Arguments:
        args: the words of the command.
        drawn: whether figures of reports are drawn, and networks that read codes fully trained,
            which takes longer than a short training; otherwise they are :func:`abridged`.
        options: those of Popen, but for what is done before the command starts.
    """

    def __init__(self, args: Sequence[object], *, drawn: bool, **options: Any) -> None:
        self._drawn = drawn
        super().__init__([str(argument) for argument in args], **options)

    def _execute_child(self, args: Any, *others: Any) -> None:  # type: ignore[no-untyped-def]
        cwd, env, pipes = others[4], others[5], others[9:15]
        request = {
            "arguments": args,
            "drawn": self._drawn,
            "cwd": os.fspath(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        ends = (pipes[0], pipes[3], pipes[5])  # those of the child
        streams = [place if end == -1 else end for place, end in enumerate(ends)]
        prctl = ctypes.CDLL(None).prctl
        prctl(_SUBREAPER, 1)
        try:
            line = _line()
            socket.send_fds(line, [json.dumps(request).encode()], streams)
            self.pid = int(line.recv(_LONGEST))
        finally:
            prctl(_SUBREAPER, 0)
        self._child_created = True
        self._close_pipe_fds(*pipes)


_lines: list[socket.socket] = []


def _line() -> socket.socket:
    """To the process that forks, which starts with the first command."""
    if not _lines:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)}
        words = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
        server = subprocess.Popen(words, env=environment, pass_fds=[theirs.fileno()], cwd=_ROOT)
        theirs.close()
        _lines.append(ours)
        atexit.register(lambda: (ours.close(), server.wait()))
        assert ours.recv(_LONGEST) == b"ready"
    return _lines[0]


def serve(line: socket.socket) -> None:
    """Answer requests until there are no more; returns in a forked process, as its command."""
    for name in IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()
    line.send(b"ready")
    while True:
        request, streams, _, _ = socket.recv_fds(line, _LONGEST, 3)
        if not request:
            os._exit(0)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            middle, forked = os.getpid(), os.fork()
            if forked:
                os.write(writer, str(forked).encode())
                os._exit(0)
            while os.getppid() == middle:
                time.sleep(0.001)
            line.close()
            become(json.loads(request), streams, reader, writer)
            return
        os.waitpid(between, 0)
        for descriptor in (writer, *streams):
            os.close(descriptor)
        line.send(os.read(reader, _LONGEST))
        os.close(reader)


def become(request: dict[str, Any], streams: list[int], *others: int) -> None:
    """Take over the words, streams, environment and folder of a command."""
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
    for descriptor in (*streams, *others):
        os.close(descriptor)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["threedident", *request["arguments"]]
    sys.path.append(request["cwd"])
    random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as a terminal would deliver them
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not request["drawn"]:
        abridged()


def abridged() -> ExitStack:
    """Until it is closed, reports have empty figures, and networks that read codes one epoch."""
    empty = {"sheet": lambda *_, **__: None, "save": lambda *_: b""}
    stack = ExitStack()
    stack.enter_context(patch.multiple("benchmark.pages.panels", **empty))
    stack.enter_context(patch("benchmark.metrics.readouts.network._EPOCHS", 1))
    return stack


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    from threedident.cli import main

    main()
