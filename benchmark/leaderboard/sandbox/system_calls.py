"""The calls to the system that running a graph takes, and no others.

The list was taken from traces of onnxruntime, glibc and Python: memory, threads of this process,
clocks, and the pipes that are open. Calls that are not on it, new ones of later systems among
them, answer as if the system did not know them, for which all three have a way on.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from functools import partial
from typing import Any

_ALLOWED = """
    brk madvise mremap munmap
    exit exit_group futex getcpu getpid gettid rseq sched_getaffinity sched_setaffinity
    sched_yield set_robust_list
    clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep restart_syscall
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
    close fstat getrandom read write writev
""".split()  # noqa: SIM905
_CLONE_THREAD = 0x00010000
_CLONE_NEW_NAMESPACES = 0x7E020000


def load_library() -> Any:
    """The bindings of libseccomp; None where the system lacks it.

    They look for the library's file, so this must be called while files can be opened.
    """
    if sys.platform != "linux":
        return None
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError, AttributeError):  # no package, or no library
        return None
    return pyseccomp


def allow_alone(library: Any) -> bool:
    """Take all other calls from every thread of this process, for good.

    Memory can be neither loaded nor made as code. A new thread can be had, a new process cannot.

    Arguments:
        library: from :func:`load_library`.

    Returns:
        Whether the system granted it.
    """
    if library is None:
        return False
    try:
        _filter(library).load()
    except OSError:  # a container may refuse it
        return False
    return True


def _filter(library: Any) -> Any:
    rules = library.SyscallFilter(library.ERRNO(errno.ENOSYS))
    rules.set_attr(library.Attr.CTL_TSYNC, 1)  # for all threads
    for name in _ALLOWED:
        rules.add_rule(library.ALLOW, name)
    bits = partial(library.Arg, 0, library.MASKED_EQ)
    rules.add_rule(
        library.ALLOW, "clone", bits(_CLONE_THREAD | _CLONE_NEW_NAMESPACES, _CLONE_THREAD)
    )  # for which glibc asks when it finds no clone3, whose arguments a filter cannot see
    for name in ("mmap", "mprotect"):
        no_code = library.Arg(2, library.MASKED_EQ, mmap.PROT_EXEC, 0)
        rules.add_rule(library.ALLOW, name, no_code)
    own = library.Arg(0, library.EQ, os.getpid())
    rules.add_rule(library.ALLOW, "tgkill", own)  # with which abort() ends this process
    return rules
