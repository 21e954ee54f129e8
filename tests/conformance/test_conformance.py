"""Real packets against the conformance corpora, on a bridged and a routed data plane, both families."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import corpora
import runner

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.long,
    pytest.mark.skipif(corpora.folder() is None, reason=corpora.why_absent()),
]


@pytest.mark.parametrize("plane", runner.PLANES)
@pytest.mark.parametrize("corpus", runner.ALL)
def test_packets_are_as_the_corpus_says(corpus: str, plane: str, lab_name: str) -> None:
    result = runner.run(corpus, plane, lab_name)
    assert not result.failed, "\n".join(f"{name}: {says}" for name, says in result.failed)


def test_scenarios_are_played(lab_name: str) -> None:
    result = runner.run_scenarios("calico-bgp", lab_name)
    assert result.cases and not result.failed, "\n".join(f"{name}: {says}" for name, says in result.failed)


def test_what_the_api_server_refuses_is_refused_with_its_place() -> None:
    result = runner.run_validation()
    assert result.cases and not result.failed, "\n".join(f"{name}: {says}" for name, says in result.failed)
