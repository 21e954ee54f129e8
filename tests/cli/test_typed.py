"""Lines to type begin with a program that the reader's shell, or sudo, finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.cli import out


@pytest.mark.parametrize("name", ["netlab", "kubenetlab"])
@pytest.mark.parametrize("on_path", [True, False])
def test_a_line_to_type_names_the_program_that_sudo_finds(
    name: str, on_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # where no bootstrap.sh is
    monkeypatch.setattr("sys.argv", [str(program), "up"])
    monkeypatch.setattr(out, "behind_sudo", lambda: True)
    monkeypatch.delenv("NETLAB_TYPED", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path) if on_path else "/usr/bin")
    assert out.command() == f"sudo {name if on_path else program}"
