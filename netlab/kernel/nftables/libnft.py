"""nft text into a namespace: libnftables by ctypes, an ``nft`` process where the library is missing.

A context's socket is opened when the context is made and stays in the namespace that its thread was in (measured), so
a context is made inside a namespace and used from anywhere.  A commit through the library takes 0.03-0.2 ms, an ``nft``
process 16 ms.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from functools import cache

_STATELESS, _HANDLE, _JSON, _NUMERIC_PRIORITY, _TERSE = (1 << bit for bit in (2, 3, 4, 8, 11))


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


def run(text: str, *, json: bool = False, check: bool = False) -> str:
    """Run nft text in the namespace that the calling thread is in; returns what it prints.

    ``json``: print JSON with handles (for reading; nft 1.0.6 does not load its own JSON again).  ``check``: do all but
    the commit.  Raises NftFailed.
    """
    with _one_at_a_time:
        return _run(text, json=json, check=check)


def _run(text: str, *, json: bool, check: bool) -> str:
    context = open_context()
    if context is None:
        argv = ["nft", *(["-j", "-a"] if json else []), *(["-c"] if check else []), "-f", "-"]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NftFailed(_first(done.stderr))
        return done.stdout
    try:
        return context.run(text, _JSON | _HANDLE if json else 0, check=check)
    finally:
        context.close()
        keep_descriptors()


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


def table(family: str, name: str) -> str:
    """A table of the current namespace with handles and numeric priorities, without counters and elements of sets."""
    with _one_at_a_time:
        context = open_context()
        if context is None:
            argv = ["nft", "-a", "-y", "-s", "-t", "list", "table", family, name]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            return done.stdout
        try:
            return context.run(f"list table {family} {name}", _HANDLE | _STATELESS | _NUMERIC_PRIORITY | _TERSE)
        finally:
            context.close()
            keep_descriptors()


def chain_rules(family: str, table: str, chain: str) -> dict[int, str]:
    """The rules of a chain in the namespace that the calling thread is in, as nft prints them, by handle."""
    context = open_context()
    if context is None:
        return {}
    try:
        said = context.run(f"list chain {family} {table} {chain}", _HANDLE)
    except NftFailed:
        return {}
    finally:
        context.close()
        keep_descriptors()
    found = {}
    for line in said.splitlines():
        text, marked, handle = line.rpartition(" # handle ")
        if marked and handle.isdigit() and not text.endswith("{"):
            found[int(handle)] = text.strip()
    return found


def table_text(place: str) -> str:
    """A table (``FAMILY NAME``) in the namespace that the calling thread is in, with handles; "" if it is not there."""
    context = open_context()
    if context is None:
        return ""
    try:
        return context.run(f"list table {place}", _HANDLE)
    except NftFailed:
        return ""
    finally:
        context.close()
        keep_descriptors()


def _first(said: str) -> str:
    """nft's first error, with the line that it points at."""
    texts = [line for line in said.splitlines() if line.strip()]
    return "\n".join(texts[:3]) or "nft gave no reason"
