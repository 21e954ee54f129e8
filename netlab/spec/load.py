"""The only effects of this package: files and folders are read here, and nothing is written anywhere."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from netlab.errors import BadInput
from netlab.spec.documents import Documents
from netlab.spec.read import Reader
from netlab.spec.text import BYTES_MAX, decode

SUFFIXES = (".yaml", ".yml", ".json")
#: The expectations of a lab lie beside its spec and have a grammar of their own.
NOT_MANIFESTS = ("expect.yaml", "expect.yml")
STDIN = "<stdin>"


def load(sources: Sequence[str | Path], stdin: IO[bytes] | None = None) -> Documents:
    """Reads files, folders and ``-`` (standard input, or ``stdin``), in this order.

    Of a folder all ``*.yaml``, ``*.yml`` and ``*.json`` are read, sorted, without folders in it and without
    ``expect.yaml``.  A file that is named twice is read once.  What is wrong with the content is in ``problems``;
    raises BadInput, naming the path, for what does not exist or cannot be read.
    """
    reader = Reader()
    seen: set[str] = set()
    for source in sources:
        for path in _files(str(source)):
            real = path if path == "-" else os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            file = STDIN if path == "-" else path
            data = (stdin or sys.stdin.buffer).read(BYTES_MAX + 1) if path == "-" else _bytes(path)
            reader.add_source(file)
            text, problem = decode(data, file)
            if problem is not None:
                reader.add_problem(problem)
            else:
                reader.add_text(text, file)
    return reader.documents()


def load_text(text: str, file: str = "<string>") -> Documents:
    """Reads a text as if it were the file of that name."""
    reader = Reader()
    reader.add_source(file)
    reader.add_text(text.removeprefix("\ufeff"), file)
    return reader.documents()


def _files(source: str) -> Iterator[str]:
    if source == "-" or not os.path.isdir(source):
        yield source
        return
    try:
        names = sorted(os.listdir(source))
    except OSError as error:
        raise _unreadable(source, error) from error
    for name in names:
        path = os.path.join(source, name)
        if name.endswith(SUFFIXES) and name not in NOT_MANIFESTS and os.path.isfile(path):
            yield path


def _bytes(path: str) -> bytes:
    """The content, at most one byte more than is allowed: enough to tell that there is too much."""
    try:
        with open(path, "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(BYTES_MAX + 1)
            chunks, left = [], BYTES_MAX + 1  # a pipe gives what it has, not what was asked for
            while left > 0 and (chunk := file.read(min(left, 1 << 20))):
                chunks.append(chunk)
                left -= len(chunk)
            return b"".join(chunks)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> BadInput:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return BadInput(f"{path}: cannot be read: {reason}")
