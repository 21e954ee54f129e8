"""The pytest plugin in a project of its own: what passes, what fails, and how a failure reads."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import run_netlab

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs" / "ci" / "pytest"
# In one worker: tests look for labs of `netlab test` that were left, and others' are there meanwhile.
pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("netlab-test")]

WRONG = """
import pytest

@pytest.fixture
def lab(netlab_lab):
    return netlab_lab("manifests/")

def test_allowed(lab):
    lab.assert_allowed("deploy/report.shop", "shop/app=db", "sql")

def test_denied(lab):
    lab.assert_denied("deploy/web.shop", "svc/db.shop", 5432)

def test_matrix(lab):
    lab.assert_matrix({"shop/app=db:sql": ["deploy/report.shop"], "deploy/web.shop:http": "*"})

def test_nobody(lab):
    lab.assert_allowed("deploy/wbe.shop", "svc/db.shop", 5432)

def test_expectations(lab):
    lab.assert_expectations("{default: deny, flows: [{from: deploy/web.shop, to: shop/app=db, expect: deny}]}")

def test_trace(lab):
    denied = lab.trace("deploy/report.shop", "shop/db-0:5432")
    assert not denied.answered and "shop/db" in denied.text
    assert lab.trace("deploy/web.shop", "shop/db-0:5432").answered
"""


WORKERS = """
import os
import pathlib

def pytest_configure():
    folder = pathlib.Path(__file__).parent / "workers"
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
"""


def project(tmp_path: Path, tests: str = "") -> Path:
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    if tests:
        (folder / "test_policies.py").write_text(tests)
    return folder


def line(*options: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "netlab.plugin", "-p", "no:cacheprovider", "-q", *options]


def environment() -> dict[str, str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return {key: value for key, value in env.items() if not key.startswith("PYTEST_")}


def run(folder: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(line(*options), cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_example_passes_with_packets_and_leaves_no_lab(options: tuple[str, ...], tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "conftest.py").write_text(WORKERS)
    status, text = run(folder, *options)
    assert status == 0 and "4 passed" in text, text
    workers = [path.name for path in (folder / "workers").iterdir()]
    left = run_netlab("ls").stdout
    assert workers and not [pid for pid in workers if f"test-{pid}-" in left]


def test_a_failure_names_the_flow_the_rules_and_both_matrices(tmp_path: Path) -> None:
    status, text = run(project(tmp_path, WRONG))
    assert status == 1 and "5 failed, 1 passed" in text, text
    assert "FAIL report -> db:5432: expected allow, got denied" in text
    assert "(manifests/shop.yaml:61) does not match: peer report has app=report, not app=web" in text
    assert "FAIL deploy/web (2) -> svc/db:5432 (2 flows): expected deny, got open" in text
    assert re.search(r"E +- shop/app=db:sql <- report\n", text), text
    assert re.search(r"E +\+ shop/app=db:sql <- deploy/web \(2\)\n", text), text
    assert 'deploy/wbe.shop has no Pods (did you mean "deploy/web.shop"' in text
    assert "resolve.py" not in text, "what is wrong is the test's own line"
    assert "http <-" not in text, "what is right is not told"
    assert "by packets in lab test-" in text


def test_a_prediction_needs_no_lab_and_says_so(tmp_path: Path) -> None:
    status, text = run(project(tmp_path, WRONG), "--netlab-predict")
    assert status == 1 and "6 failed" in text, text
    assert "by the prediction, no packet sent:" in text
    assert "a trace follows a real packet" in text


def test_the_same_manifests_are_one_lab(tmp_path: Path) -> None:
    same = "def test_same(netlab_lab):\n    assert netlab_lab('manifests') is netlab_lab('manifests/')\n"
    more = "def test_other(netlab_lab):\n    assert netlab_lab('manifests') is not netlab_lab('manifests', stand_ins=True)\n"
    status, text = run(project(tmp_path, same + more), "--netlab-predict")
    assert status == 0 and "2 passed" in text, text


def test_what_is_wrong_with_the_manifests_is_the_failure(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "deep").mkdir()
    (folder / "deep" / "bad.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {contaners: []}\n")
    tests = "def test_bad(netlab_lab):\n    netlab_lab('bad.yaml')\ndef test_none(netlab_lab):\n    netlab_lab('none.yaml')\n"
    (folder / "deep" / "test_deep.py").write_text(tests)
    status, text = run(folder, "--netlab-predict", "deep")
    assert status == 1 and "2 failed" in text, text
    assert "deep/bad.yaml:4:8: spec.contaners: unknown field" in text and "none.yaml: cannot be read" in text
    assert "Traceback" not in text and "plugin/__init__.py" not in text


def test_names_are_looked_up_and_nothing_asked_is_no_success(tmp_path: Path) -> None:
    tests = """
def test_resolves(netlab_lab):
    lab = netlab_lab("manifests/")
    lab.assert_expectations("flows: [{from: deploy/web.shop, resolves: db.shop, expect: allow}]")

def test_wrong(netlab_lab):
    lab = netlab_lab("manifests/")
    lab.assert_expectations("flows: [{from: deploy/web.shop, resolves: dbb.shop, expect: allow}]")

def test_nothing(netlab_lab):
    netlab_lab("manifests/").assert_expectations("flows: []")
"""
    status, text = run(project(tmp_path, tests))
    assert status == 1 and "2 failed, 1 passed" in text, text
    assert "nothing was asked: flows: []" in text and "dbb.shop" in text


def test_a_folder_of_a_lab_and_a_text_of_a_line_are_labs(tmp_path: Path) -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}"
    tests = f"""
def test_lab(netlab_lab):
    lab = netlab_lab({str(ROOT / "labs" / "policy")!r})
    lab.assert_allowed("client", "server", 80)
    lab.assert_denied("intruder", "server", 80)

def test_line(netlab_lab):
    netlab_lab("{pod}").assert_allowed("external/internet", "a", 80)
"""
    status, text = run(project(tmp_path, tests))
    assert status == 0 and "2 passed" in text, text


STAYS = """
import time
def test_stays(netlab_lab):
    lab = netlab_lab("manifests/")
    print("LAB", lab.name, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_lab_of_a_stopped_run_is_removed(number: signal.Signals, tmp_path: Path) -> None:
    """By Ctrl-C at once, by the next run where the process was killed."""
    folder = project(tmp_path, STAYS)
    # A shell's background job ignores SIGINT, and so would what this test starts.
    words = ["env", "--default-signal=INT", *line("-s")]
    with subprocess.Popen(words, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = next(each.split("LAB ")[1].strip() for each in process.stdout if "LAB " in each)
        process.send_signal(number)
        process.wait(60)
    if number == signal.SIGKILL:
        status, text = run(project(tmp_path / "next"))
        assert status == 0, text
    assert name not in run_netlab("ls").stdout
