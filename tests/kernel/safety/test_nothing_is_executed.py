"""A spec that is looked at starts no program, whatever PATH its containers have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec: {{containers: [{{name: c, image: i, command: [{command}], env: [{{name: PATH, value: "{path}"}}]}}]}}
"""


@pytest.mark.parametrize("program", ["busybox", "foo", "knotd", "knotc", "nft"])
def test_a_program_in_a_containers_path_is_not_executed_by_plan(
    program: str, lab_name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(f"/opt/{lab_name}")  # not below /tmp, which a Pod does not see
    folder.mkdir()
    try:
        proof, script = folder / "proof", folder / program
        script.write_text(f"#!/bin/sh\necho ran >>{proof}\necho foo\n")
        script.chmod(0o755)
        spec = folder / "spec.yaml"
        spec.write_text(POD.format(command="foo", path=folder))
        argv = [sys.executable, "-m", "netlab", "plan", "-f", str(spec), "--name", lab_name]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not proof.exists(), proof.read_text()
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def testapplets_of_the_hosts_busybox_are_found() -> None:
    from netlab.runtime.host.programs import applets

    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    busybox = subprocess.run(
        ["sh", "-c", "command -v busybox"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert applets(busybox) == frozenset(listed)
