"""The locks of labs, which go with their labs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.runtime.state import lock


def test_labs_that_come_and_go_at_once_do_not_take_each_others_folder_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` or `down` of one lab failed with "File exists: /run/netlab/.lock" while another lab went down."""
    monkeypatch.setattr(lock, "RUN", tmp_path / "netlab")
    monkeypatch.setattr(lock, "LOCKS", tmp_path / "netlab" / ".lock")
    children = []
    for name in "abcd":
        child = os.fork()
        if not child:
            status = 1
            try:
                for _ in range(500):
                    with lock.locked(name):
                        pass
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    assert not (tmp_path / "netlab").exists()


def test_a_file_in_the_place_of_the_folder_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RUN", tmp_path / "netlab")
    monkeypatch.setattr(lock, "LOCKS", tmp_path / "netlab" / ".lock")
    (tmp_path / "netlab").mkdir()
    (tmp_path / "netlab" / ".lock").write_text("")
    with pytest.raises(FileExistsError), lock.locked("a"):
        pass
