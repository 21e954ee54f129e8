"""What `invoke distro-test` reads and writes, without a root: the host's settings, JUnit, the Vagrantfile."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"distros_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


suites, settings, report, provision = (load(name) for name in ("suites", "hostsettings", "report", "provision"))

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.pure.a" name="t1"/>
<testcase classname="tests.pure.a" name="t2[x]"><failure message="no">text</failure></testcase>
<testcase classname="tests.pure.b" name="t3"><error message="no">text</error></testcase>
<testcase classname="tests.pure.b" name="t4"><skipped message="no qemu
  here"/></testcase>
<testcase classname="tests.pure.b" name="t5"><skipped message="no qemu here"/></testcase>
</testsuite></testsuites>"""


def test_the_result_names_failures_and_counts_skips_by_reason(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    outcome = report.read("Debian 12", tmp_path / "junit.xml")
    assert report.lines(outcome) == [
        "Debian 12: 1 passed, 2 failed, 2 skipped",
        "  failed: tests/pure/a::t2[x]",
        "  failed: tests/pure/b::t3",
        "  skipped 2: no qemu here",
    ]
    assert outcome.status == 1


def test_what_was_not_run_is_no_pass() -> None:
    assert report.Outcome("Debian 12", not_run="no mirror").status == 3
    assert report.Outcome("Debian 12", passed=5, broken="exit status 137").status == 1
    assert report.Outcome("Debian 12").status == 1
    assert report.Outcome("Debian 12", passed=1).status == 0


def test_the_mirror_is_the_hosts_own() -> None:
    index = ["http://mirror.test/debian-security/ main", "http://mirror.test/x/debian/ main"]
    assert suites.mirror("debian", index) == "http://mirror.test/x/debian"
    assert suites.mirror("ubuntu", index) == "http://mirror.test/x/ubuntu"
    with pytest.raises(suites.NotRun, match="names no mirror"):
        suites.mirror("debian", ["http://mirror.test/debian-security/ main"])


def test_a_suite_that_is_not_known_is_refused() -> None:
    assert [suite.name for suite in suites.chosen("trixie, noble")] == ["trixie", "noble"]
    with pytest.raises(SystemExit, match="no suite is called buster"):
        suites.chosen("buster")


def test_pip_gets_packages_as_on_this_host(tmp_path: Path) -> None:
    """The environment goes before files; places of the host's own system stay out; folders are bound."""
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    listed = "\n".join(
        [
            f":env:.find-links='{tmp_path}/wheels'",
            "global.find-links='/nowhere'",
            f"global.extra-index-url='file://{tmp_path}/index/simple https://packages.test/simple'",
            "global.constraint='/etc/constraints.txt'",
            ":env:.cert='/somewhere/bundle.crt'",
        ]
    )
    found = settings.pip_settings(listed)
    assert set(found) == {"find-links", "extra-index-url"}
    assert found["find-links"] == f"{tmp_path}/wheels"
    assert settings.folders(found) == [f"{tmp_path}/index", f"{tmp_path}/wheels"]


def test_the_provisioners_are_read_from_the_vagrantfile() -> None:
    found = provision.scripts(HERE.parents[1] / "Vagrantfile")
    assert list(found) == ["kernel", "netlab"]
    assert all(text.startswith("set -eu\n") for text in found.values())
    assert "./bootstrap.sh netlab" in found["netlab"]


def test_an_archive_without_keys_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "KEYRINGS", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(suites.NotRun, match="install ubuntu-keyring"):
        suites.keyring("ubuntu")
    (tmp_path / "netlab" / "roots").mkdir(parents=True)
    held = tmp_path / "netlab" / "roots" / "ubuntu-archive-keyring.gpg"
    held.touch()
    assert suites.keyring("ubuntu") == held
