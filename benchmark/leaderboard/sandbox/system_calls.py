"""The system calls that a graph needs to run, and a filter that refuses all others.

The list comes from traces of onnxruntime, glibc and Python: memory, threads of this process,
clocks, and open pipes. All other calls, including new calls of later systems, return the error
for unknown calls. All three libraries can continue after this error.
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
    """The Python bindings of libseccomp; None if the system does not have it.

    The bindings open the file of the library, so call this before files are given up.
    """
    if sys.platform != "linux":
        return None
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError, AttributeError):  # no package, or no library
        return None
    return pyseccomp


def allow_alone(library: Any) -> bool:
    """Permanently refuse all other system calls, in every thread of this process.

    The process can no longer make memory executable. It can start threads, but no processes.

    Arguments:
        library: result of :func:`load_library`.

    Returns:
        True if the system allowed it.
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
    )  # glibc uses clone if clone3 fails; a filter cannot see the arguments of clone3
    for name in ("mmap", "mprotect"):
        no_code = library.Arg(2, library.MASKED_EQ, mmap.PROT_EXEC, 0)
        rules.add_rule(library.ALLOW, name, no_code)
    own = library.Arg(0, library.EQ, os.getpid())
    rules.add_rule(library.ALLOW, "tgkill", own)  # abort() needs it to end this process
    return rules
