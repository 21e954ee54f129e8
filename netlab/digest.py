"""Hash functions without ``hashlib``, which loads all of OpenSSL: 4 ms of each command that knows a lab.

Hashes make names here, and keep no secret.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_MODULES = (
    "_sha2",
    "_sha256",
    "_sha1",
    "_blake2",
    "hashlib",
)  # CPython's own, since 3.12 and before; a build may lack them


def _named(name: str) -> Callable[..., Any]:
    for module in _MODULES:
        try:
            function: Callable[..., Any] = getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
        return function
    raise ImportError(name)


_sha256, _sha1, _blake2b = _named("sha256"), _named("sha1"), _named("blake2b")


def sha256(text: str) -> bytes:
    """The SHA-256 of a text."""
    digest: bytes = _sha256(text.encode()).digest()
    return digest


def sha1(text: str) -> bytes:
    """The SHA-1 of a text."""
    digest: bytes = _sha1(text.encode(), usedforsecurity=False).digest()
    return digest


def blake2b(text: str, size: int) -> bytes:
    """The BLAKE2b of a text, of so many bytes: the fastest."""
    digest: bytes = _blake2b(text.encode(), digest_size=size).digest()
    return digest
