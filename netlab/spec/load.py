"""The only effects of this package: files and folders are read here, and nothing is written anywhere."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from netlab.errors import BadInput, Problem
from netlab.spec.documents import Documents
from netlab.spec.read import Reader
from netlab.spec.text import BYTES_MAX, decode
from netlab.tuples import NamedTuple

SUFFIXES = (".yaml", ".yml", ".json")
#: The expectations and the exercise of a lab lie beside its spec and have grammars of their own.
NOT_MANIFESTS = ("expect.yaml", "expect.yml", "exercise.yaml", "exercise.yml")
STDIN = "<stdin>"
#: Files whose folder another tool reads: its name, and the line that makes manifests of it.
_RENDERED = {
    "Chart.yaml": ("helm", "helm template {}"),
    **dict.fromkeys(
        ("kustomization.yaml", "kustomization.yml", "Kustomization"), ("kustomize", "kubectl kustomize {}")
    ),
}


class Text(NamedTuple):
    """One file as it was read: what a running lab keeps, so that its lines can be named when the file has gone.

    ``namespace``: of the objects that name none.
    """

    file: str
    text: str
    namespace: str = "default"


def load(sources: Sequence[str | Path], stdin: IO[bytes] | None = None) -> Documents:
    """Reads files, folders and ``-`` (standard input, or ``stdin``), in this order.

    Of a folder all ``*.yaml``, ``*.yml`` and ``*.json`` are read, sorted, without folders in it and without
    ``expect.yaml`` and ``exercise.yaml``.  A file that is named twice is read once.  What is wrong with the content is in ``problems``;
    raises BadInput, naming the path, for what does not exist or cannot be read.
    """
    texts, problems = read_texts(sources, stdin)
    return load_texts(texts, problems)


def read_texts(
    sources: Sequence[str | Path], stdin: IO[bytes] | None = None
) -> tuple[tuple[Text, ...], tuple[Problem, ...]]:
    """The files' texts, in the order of ``load``, and a problem for each that is no text."""
    seen: set[str] = set()
    texts: list[Text] = []
    problems: list[Problem] = []
    for source in sources:
        for path in _files(str(source)):
            real = path if path == "-" else os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            file = STDIN if path == "-" else path
            data = (stdin or sys.stdin.buffer).read(BYTES_MAX + 1) if path == "-" else _bytes(path)
            text, problem = decode(data, file)
            if problem is not None:
                problems.append(problem)
                text = ""
            texts.append(Text(file, text))
    return tuple(texts), tuple(problems)


def load_texts(texts: Iterable[Text], problems: Iterable[Problem] = (), *, hooks: bool = False) -> Documents:
    """The documents of texts that were read before; ``problems`` are those of the reading, ``hooks`` as ``Reader``'s."""
    reader = Reader(hooks=hooks)
    wrong = {problem.mark.file: problem for problem in problems if problem.mark}
    for file, text, namespace in texts:
        reader.add_source(file)
        if file in wrong:
            reader.add_problem(wrong[file])
        else:
            reader.add_text(text, file, namespace)
    return reader.documents()


def load_text(text: str, file: str = "<string>") -> Documents:
    """Reads a text as if it were the file of that name."""
    reader = Reader()
    reader.add_source(file)
    reader.add_text(text.removeprefix("\ufeff"), file)
    return reader.documents()


def _files(source: str) -> Iterator[str]:
    if source == "-" or not os.path.isdir(source):
        folder, name = os.path.split(source)
        if name in _RENDERED and name != "Chart.yaml" and os.path.isfile(source):
            raise BadInput(f"{source}: is kustomize's, and no manifest",
                           hint=f"kubectl kustomize {folder or '.'} | netlab up -f -")  # fmt: skip
        yield source
        return
    try:
        names = sorted(os.listdir(source))
    except OSError as error:
        raise _unreadable(source, error) from error
    files = [
        os.path.join(source, name)
        for name in names
        if name.endswith(SUFFIXES) and name not in NOT_MANIFESTS and os.path.isfile(os.path.join(source, name))
    ]
    for name, (tool, line) in _RENDERED.items():
        if name in names:
            raise BadInput(f"{os.path.join(source, name)}: this folder is for {tool}, which makes the manifests",
                           hint=f"{line.format(source)} | netlab up -f -")  # fmt: skip
    if not files:
        raise BadInput(f"{source}: there is no manifest in this folder ({', '.join(f'*{each}' for each in SUFFIXES)})")
    yield from files


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
