"""The end-to-end model of Kubernetes' tests through the API: a fixed part, all cases where all are asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import e2e
import runner

pytestmark = pytest.mark.kernel


def test_clients_of_the_api_find_the_verdicts_that_kubernetes_tests_expect(lab_name: str) -> None:
    result = runner.run_e2e("calico-bgp", lab_name)
    assert result.cases and not result.failed, "\n".join(f"{name}: {text}" for name, text in result.failed)


def test_a_table_gives_the_last_word_to_the_later_line() -> None:
    table = "close * > x/*, open y/a > x/*:80, close y/a > x/b:80/UDP"
    assert e2e.wanted(table, ("x", "a"), ("y", "a"), "80/TCP")
    assert not e2e.wanted(table, ("z", "a"), ("x", "a"), "80/TCP")
    assert e2e.wanted(table, ("y", "a"), ("x", "b"), "80/TCP")
    assert not e2e.wanted(table, ("y", "a"), ("x", "b"), "80/UDP")
    assert not e2e.wanted(table, ("y", "a"), ("x", "b"), "81/TCP")
