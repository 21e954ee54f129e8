"""The pytest plugin: the fixture ``netlab_lab``, which makes a lab of manifests and asserts what its policies allow.

Every run of pytest loads this module, so it imports nothing of netlab before a test asks for a lab.  A lab is made once a
process and source, and goes down when the session ends; its name has the process's number, so the workers of
pytest-xdist have labs of their own.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from netlab.testing.prepared import Source
    from netlab.testrun.session import Lab

__all__ = ["netlab_lab"]

_PREDICT = "netlab_predict"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--netlab-predict``."""
    parser.getgroup("netlab").addoption(
        "--netlab-predict",
        dest=_PREDICT,
        action="store_true",
        help="netlab_lab predicts and sends no packet: needs no root and no Linux",
    )


class Labs:
    """The labs of a session by what they were made from."""

    def __init__(self, root: Path, *, predict: bool) -> None:
        self._root, self._predict = root, predict
        self._stack = ExitStack()
        self._labs: dict[tuple[object, ...], Lab] = {}

    def __call__(
        self, manifests: str | Path | Sequence[str | Path], *, namespace: str = "", stand_ins: bool = False
    ) -> Lab:
        """The lab of a path (a file or a folder), of several paths, or of YAML text.

        A path is looked for beside the file that calls, then in the root of the tests.
        """
        from netlab.errors import NetlabError

        folders = (Path(sys._getframe(1).f_globals.get("__file__", "")).parent, self._root)
        try:
            return self._lab(_source(manifests, folders), namespace, stand_ins=stand_ins)
        except NetlabError as error:
            pytest.fail("\n".join(filter(None, (error.message, error.hint))), pytrace=False)

    def _lab(self, source: Source, namespace: str, *, stand_ins: bool) -> Lab:
        from netlab.testing.prepared import Options
        from netlab.testrun.session import Lab

        key = (source, namespace, stand_ins)
        if key not in self._labs:
            if not self._labs and not self._predict:
                _ready()
            lab = Lab(source, Options(namespace, stand_ins), len(self._labs) + 1, predict=self._predict)
            self._labs[key] = self._stack.enter_context(lab)
        return self._labs[key]

    def close(self) -> None:
        """Take all labs down."""
        self._stack.close()


def _ready() -> None:
    """Remove what killed runs left.  Raises HostCannot where no lab can be made."""
    from netlab.errors import HostCannot

    if sys.platform != "linux" or os.geteuid() != 0:
        raise HostCannot(
            "netlab_lab sends packets, which needs Linux and root", hint="pytest --netlab-predict predicts"
        )
    from netlab.testrun.labs import remove_left

    remove_left()


def _source(manifests: str | Path | Sequence[str | Path], folders: Sequence[Path]) -> Source:
    from netlab.errors import BadInput
    from netlab.spec import Text, load_texts, read_texts
    from netlab.testing.prepared import Source

    if isinstance(manifests, str) and ("\n" in manifests or manifests.lstrip().startswith("{")):
        return Source("", (Text("<inline>", textwrap.dedent(manifests)),))
    paths = [manifests] if isinstance(manifests, (str, Path)) else list(manifests)
    texts, problems = read_texts([_resolved(path, folders) for path in paths])
    if problems:
        raise BadInput(load_texts(texts, problems).problems)
    return Source("", texts)


def _resolved(path: str | Path, folders: Sequence[Path]) -> str:
    """A path in the first folder that has it, as messages name it: from where pytest was started, if it is below."""
    full = next((folder / path for folder in folders if (folder / path).exists()), folders[-1] / path)
    near = os.path.relpath(full)
    return str(full) if near.startswith("..") else near


@pytest.fixture(scope="session")
def netlab_lab(request: pytest.FixtureRequest) -> Iterator[Labs]:
    """What makes labs: call it with manifests, and ask the lab: ``lab.assert_allowed("shop/web", "shop/db", 5432)``."""
    labs = Labs(request.config.rootpath, predict=request.config.getoption(_PREDICT))
    try:
        yield labs
    finally:
        labs.close()
