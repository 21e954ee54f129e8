"""What docs/ci.md offers: the example chart, the action for GitHub, the jobs for GitLab, the hooks and the image."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import run_netlab

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "docs" / "ci" / "chart"
RENDERED = ROOT / "docs" / "ci" / "rendered.yaml"
EXPECT = ROOT / "docs" / "ci" / "expect.yaml"


def test_the_rendered_manifests_are_those_of_the_chart() -> None:
    """The chart uses nothing of Helm but values, so that this test needs no Helm."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def value(found: re.Match[str]) -> str:
        name, key = found[1].split(".")
        return str(values[name][key])

    texts = (
        f"---\n# Source: guestbook/templates/{path.name}\n"
        + re.sub(r"\{\{ \.Values\.([\w.]+) \}\}", value, path.read_text())
        for path in sorted((CHART / "templates").glob("*.yaml"))
    )
    assert "".join(texts) == RENDERED.read_text()


def action(tmp_path: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the action's script as a runner does, with a sudo and a bootstrap.sh that just run the command."""
    step = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"][0]
    programs = tmp_path / "bin"
    programs.mkdir()
    for path, text in (
        (programs / "sudo", 'shift; exec "$@"'),
        (tmp_path / "bootstrap.sh", f'shift; exec "{sys.executable}" -m netlab "$@"'),
    ):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    given = {name: inputs.get(name.lower(), "") for name in step["env"]}
    assert step["env"] == {name: f"${{{{ inputs.{name.lower()} }}}}" for name in given}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env={
            **given,
            "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(ROOT),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(tmp_path),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.xdist_group("netlab-test")
@pytest.mark.kernel
def test_the_action_is_green_for_the_example_and_red_for_a_renamed_label(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    done = action(tmp_path / "good", manifests=str(RENDERED), expect=str(EXPECT), junit="report.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(ET.parse(tmp_path / "good" / "report.xml").getroot().get("tests", "0")) > 10
    assert "store:6379" in (tmp_path / "good" / "summary.md").read_text()

    (tmp_path / "bad").mkdir()
    changed = tmp_path / "a set.yaml"
    changed.write_text(
        RENDERED.read_text().replace(
            "- from: [{podSelector: {matchLabels: {app: web}", "- from: [{podSelector: {matchLabels: {app: wbe}"
        )
    )
    done = action(tmp_path / "bad", manifests=f"\n{changed}\n", expect=str(EXPECT), args="-q --strict")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(rf"^::error file={re.escape(str(changed))},line=\d+.*selector-typo", done.stdout, re.M)


def test_an_input_of_the_action_is_never_a_part_of_its_script(tmp_path: Path) -> None:
    hostile = "$(touch hacked); `touch hacked` \"; touch hacked; '"
    done = action(tmp_path, manifests=hostile, expect=hostile, against=hostile)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (tmp_path / "hacked").exists()


def words(line: str) -> list[str]:
    return line.replace('"', "").split()


def test_the_jobs_and_hooks_use_options_that_there_are() -> None:
    jobs: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab-ci.yml").read_text())
    hooks: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    lines = [line for job in jobs.values() for line in job["script"] if "netlab test" in line]
    lines += [hook["entry"] for hook in hooks]
    assert len(lines) == 4
    told = run_netlab("test", "--help").stdout
    used = {word for line in lines for word in words(line.partition("netlab test")[2]) if word.startswith("-")}
    assert {option for option in used if not re.search(rf"(?<![\w-]){option}(?![\w-])", told)} == set()


def test_the_prediction_needs_no_privilege(tmp_path: Path) -> None:
    done = run_netlab("test", "--predict", RENDERED, "--expect", EXPECT, check=None)
    assert done.status in (0, 2), done.stderr
    done = run_netlab("test", "--predict", "-f", RENDERED, "--expect", EXPECT)
    assert "predicted, no packet sent" in done.stdout
