"""A lab for each file of tests of the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.runtime import lab as labs


@pytest.fixture(scope="module")
def lab(kit: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"{request.path.stem.removeprefix('test_')}{os.getpid()}"
    kit.up(kit.spec(name, dataplane="vxlan"))
    yield name
    labs.down(name)
    assert kit.remains(name) == []
