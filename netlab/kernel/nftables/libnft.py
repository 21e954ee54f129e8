"""nft text into a namespace: libnftables by ctypes, an ``nft`` process where the library is missing.

A context's socket is opened when the context is made and stays in the namespace that its thread was in (measured), so
a context is made inside a namespace and used from anywhere.  A commit through the library takes 0.03-0.2 ms, an ``nft``
process 16 ms.
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import cache

_STATELESS, HANDLE, _JSON, _NUMERIC_PRIORITY, _TERSE = (1 << bit for bit in (2, 3, 4, 8, 11))
JSON = _JSON | HANDLE
TERSE = HANDLE | _STATELESS | _NUMERIC_PRIORITY | _TERSE  # without counters and elements of sets
_OPTIONS = {_STATELESS: "-s", HANDLE: "-a", _JSON: "-j", _NUMERIC_PRIORITY: "-y", _TERSE: "-t"}


# libnftables waits for the kernel by select(), which ends the process where its socket's number is 1,024 or more; a lab
# of a thousand namespaces has more descriptors open than that.  So some low numbers are kept for it.
_FD_SETSIZE = 1024
_KEPT = 4
_kept: list[int] = []


def keep_descriptors() -> None:
    """Reserve low descriptor numbers before many files are opened."""
    while len(_kept) < _KEPT:
        _kept.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))


def _let_go() -> bool:
    """Free the kept numbers; whether the next descriptor is one that the library can use."""
    while _kept:
        os.close(_kept.pop())
    probe = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.close(probe)
    return probe < _FD_SETSIZE - 2 * _KEPT


# The library keeps things to itself between calls (its scanner, the kept numbers above), whatever the context.
_one_at_a_time = threading.Lock()


class NftFailed(Exception):
    """nft refused a text; the message is its own, first error first."""


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        return None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
    library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
    return library


def run(text: str, flags: int = 0, *, check: bool = False) -> str:
    """Run nft text in the namespace that the calling thread is in; returns what it prints.

    ``JSON`` is for reading: nft 1.0.6 does not load its own JSON again.  ``check``: do all but the commit.  Raises NftFailed.
    """
    with _one_at_a_time:
        context = open_context()
        if context is None:
            options = [option for flag, option in _OPTIONS.items() if flags & flag]
            argv = ["nft", *options, *(["-c"] if check else []), "-f", "-"]
            from subprocess import run as run_program  # 1 ms, for hosts with nft and without its library

            done = run_program(argv, input=text, capture_output=True, text=True, check=False)
            if done.returncode:
                raise NftFailed(_first(done.stderr))
            return done.stdout
        try:
            return context.run(text, flags, check=check)
        finally:
            context.close()
            keep_descriptors()


def listed(text: str, flags: int = HANDLE) -> str:
    """What nft prints of a list command in the current namespace; "" where it refuses."""
    try:
        return run(text, flags)
    except NftFailed:
        return ""


class Context:
    """A context of the library: works in the namespace that it was made in.  See ``open_context``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._context = library.nft_ctx_new(0)
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def run(self, text: str, flags: int = 0, *, check: bool = False) -> str:
        """Run nft text (``check``: all but the commit); returns what it prints.  Raises NftFailed."""
        library, context = self._library, self._context
        library.nft_ctx_set_dry_run(context, check)
        library.nft_ctx_output_set_flags(context, flags)
        if library.nft_run_cmd_from_buffer(context, text.encode()):
            raise NftFailed(_first((library.nft_ctx_get_error_buffer(context) or b"").decode(errors="replace")))
        return (library.nft_ctx_get_output_buffer(context) or b"").decode(errors="replace")

    def close(self) -> None:
        """Free it, and its socket: a table with ``flags owner`` that it made goes too (which waits for the kernel)."""
        self._library.nft_ctx_free(self._context)


def open_context() -> Context | None:
    """A context in the namespace that the calling thread is in; None where the library is missing, or cannot be used
    because too many descriptors are open.
    """
    library = _library()
    if library is None or not _let_go():
        return None
    return Context(library)


def _first(output: str) -> str:
    """nft's first error, with the line that it points at."""
    texts = [line for line in output.splitlines() if line.strip()]
    return "\n".join(texts[:3]) or "nft gave no reason"
