"""`netlab test` of several sets: an interrupt ends the workers, wherever it comes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from netlab.cli.verbs import test as verb

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}\n"


def test_an_interrupt_between_two_results_leaves_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labs of workers stayed half taken down: nobody waited for a worker where the interrupt came while a result was printed."""
    sets = [tmp_path / name for name in ("one", "two")]
    for folder in sets:
        folder.mkdir()
        (folder / "pod.yaml").write_text(POD)

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "_print", interrupted)
    done = CliRunner().invoke(verb.command, ["--predict", "--jobs", "2", *map(str, sets)], standalone_mode=False)
    assert isinstance(done.exception, click.Abort), done.output  # it holds the frames of the verb
    assert multiprocessing.active_children() == []
