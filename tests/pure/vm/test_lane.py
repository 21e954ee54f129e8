"""The lane of virtual machines, as far as it needs none: what it fetches, shares out, and takes for a failure."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kernel_features import NEEDS
from tests.vm import initrd, kernels, marked, report, verdict

ROOT = Path(__file__).resolve().parents[3]

JUNIT = """<testsuites><testsuite name="pytest">
<testcase classname="tests.kernel.services.test_sctp" name="test_a" time="2.5"><properties>
  <property name="needs" value="sctp"/></properties></testcase>
<testcase classname="tests.kernel.agent.test_agent" name="test_b" time="1"><skipped message="no busybox here"/></testcase>
<testcase classname="tests.labs.test_labs" name="test_lab[overlay]" time="9"><properties>
  <property name="verb:up" value="ok"/><property name="verb:diff" value="exit 4"/></properties>
  <failure message="netlab diff: 4&#10;more"/></testcase>
</testsuite></testsuites>"""


KERNEL = kernels.Kernel("6.1", "6.1.0-57-amd64", Path("vmlinuz"), Path("modules"))


def done(status: int = 0) -> verdict.Done:
    job = verdict.Job(KERNEL, "6.1/1", ["tests/a.py"], "tcg")
    return verdict.ended(job, status, "6.1", JUNIT, 60)


def passed(*needs: str) -> report.Case:
    return report.Case("6.1", "tests/a", "test_a", "passed", "", 1, needs, ())


def ran(kernel: str = "6.1") -> list[report.Case]:
    return report.cases(kernel, JUNIT)


def test_results_are_read_with_their_reasons() -> None:
    assert [(case.result, case.why) for case in ran()] == [
        ("passed", ""),
        ("skipped", "no busybox here"),
        ("failed", "netlab diff: 4"),
    ]


def test_a_skip_with_an_unknown_reason_fails_the_lane() -> None:
    assert len(verdict.wrong_skips(ran(), ["no tshark"])) == 1
    assert verdict.wrong_skips(ran(), ["no busybox"]) == []


def test_no_reason_excuses_a_skip_of_what_the_kernel_has() -> None:
    skipped = [case._replace(result="skipped", why="no busybox here") for case in ran() if case.needs]
    assert len(verdict.wrong_skips(skipped, ["no busybox"])) == 1


@pytest.mark.parametrize("feature", NEEDS)
@pytest.mark.parametrize("why", [*marked.ALLOWED, "this kernel has no such device (Operation not supported)"])
def test_a_skipped_test_of_a_feature_fails_the_lane(feature: str, why: str) -> None:
    """SCTP, geneve, ipip, wireguard and netem are modules of each of these kernels: no reason excuses a skip."""
    others = [passed(name) for name in NEEDS if name != feature]
    skipped = passed(feature)._replace(name="test_b", result="skipped", why=why)
    faults = verdict.faults([done()], [*others, skipped], marked.ALLOWED, ())
    assert faults == [f"6.1: skipped: tests/a::test_b: {why}"]
    assert verdict.exit_status(faults, [], if_possible=True) == 1


@pytest.mark.parametrize("feature", NEEDS)
def test_a_plain_run_without_a_test_of_a_feature_fails(feature: str) -> None:
    others = [passed(name) for name in NEEDS if name != feature]
    faults = verdict.faults([done()], others, marked.ALLOWED, marked.features())
    assert faults == [f"6.1: no test of {feature} has run"]
    assert verdict.faults([done()], [*others, passed(feature)], marked.ALLOWED, marked.features()) == []


def test_a_test_that_failed_fails_the_lane_on_any_host() -> None:
    faults = verdict.faults([done(1)], ran(), [], ())
    assert "6.1: failed: tests/labs/test_labs::test_lab[overlay]: netlab diff: 4" in faults
    assert "6.1/1: pytest ended with 1" in faults
    assert verdict.exit_status(faults, verdict.troubles([done(124)]), if_possible=True) == 1


@pytest.mark.parametrize("status", [124, 137])
def test_a_machine_out_of_time_is_given_up_and_no_failure_where_the_host_excuses_it(status: int) -> None:
    late = done(status)
    troubles = verdict.troubles([late])
    assert troubles == ["6.1/1: given up: not all of its tests were done after 60 s"]
    faults = verdict.faults([late], [passed()], [], marked.features())
    assert faults == []
    assert [verdict.exit_status(faults, troubles, if_possible=excused) for excused in (False, True)] == [4, 0]


def test_a_machine_that_ran_no_test_fails_the_lane() -> None:
    assert verdict.faults([done(5)], [], [], ()) == ["no test has run"]


def test_a_feature_that_no_test_tried_fails_the_lane() -> None:
    both = [*ran("6.1"), *(case for case in ran("7.3") if not case.needs)]
    assert verdict.untried(both, ["6.1", "7.3"], ["sctp"]) == ["7.3: no test of sctp has run"]


def test_the_table_says_where_a_verb_did_not_do_what_it_should() -> None:
    assert "| overlay | ok | exit 4 on 6.1 | not run on 6.1 |" in report.tables(ran())["labs"]
    assert "| tests/kernel/agent/test_agent | 0, 1 skipped |" in report.tables(ran())["groups"]


FLAKY = """
import pytest
runs = []
@pytest.fixture
def number():
    runs.append(1)
    return len(runs)
def test_a(number): assert number == 2, "too early"
def test_b(): assert 0, "always"
"""


def test_a_test_that_passes_when_it_is_run_again_is_named_as_flaky(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FLAKY)
    junit = tmp_path / "junit.xml"
    words = (
        "-m",
        "pytest",
        "-p",
        "tests.vm.again",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        "-c",
        "/dev/null",
    )
    line = [sys.executable, *words, f"--junit-xml={junit}", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "test_a passed when it was run again" in done.stdout, done.stdout
    first, second = report.cases("6.1", junit.read_text())
    assert (first.result, second.result, second.flaky) == ("passed", "failed", "")
    (said,) = verdict.flaky([first, second])
    assert said.startswith("6.1: flaky: ") and "too early" in said
    assert "| 1, 1 failed, 1 flaky |" in report.tables([first, second])["groups"]


def test_tables_are_made_of_the_files_of_several_runs(tmp_path: Path) -> None:
    later = JUNIT.replace('<failure message="netlab diff: 4&#10;more"/>', "").replace("exit 4", "ok")
    for name, texts in {"a": [("7.3", JUNIT), ("6.1", JUNIT)], "b": [("6.1", later)]}.items():
        (tmp_path / name).write_bytes(report.merged(texts))
    ran = report.earlier([tmp_path / "a", tmp_path / "b"])
    assert [case.kernel for case in ran] == ["6.1"] * 3 + ["7.3"] * 3
    assert "| overlay | ok | exit 4 on 7.3 |" in report.tables(ran)["labs"], "the later file has its say"


def test_the_page_has_a_place_for_each_table() -> None:
    made = dict.fromkeys(report.tables(ran()), "| a table |")
    page = report.written(report.PAGE.read_text(), made)
    assert page.count("| a table |") == len(made)
    assert report.written(page, made) == page


def test_every_test_is_shared_out_once_and_evenly() -> None:
    rows = marked.marked(marked.Level.ALL)
    shares = marked.shares(rows, 2)
    assert sorted(path for share in shares for path in share) == sorted(row.path for row in rows)
    seconds = {row.path: row.seconds for row in rows}
    first, second = (sum(seconds[path] for path in share) for share in shares)
    assert abs(first - second) <= max(seconds.values())


def test_a_plain_run_of_three_kernels_takes_twenty_minutes() -> None:
    """By the seconds that the rows have, on two idle cores; a boot and what pytest imports take half a minute."""
    shares = [share for _ in kernels.SUITES for share in marked.shares(marked.marked(), 2)]
    seconds = {row.path: row.seconds for row in marked.marked()}
    assert sum(30 + sum(seconds[path] for path in share) for share in shares) / 2 < 20 * 60


def test_every_marked_file_is_there() -> None:
    assert [row.path for row in marked.FILES if not (ROOT / row.path).is_file()] == []


def test_a_plain_run_tries_every_feature_that_tests_need() -> None:
    named = {name for names in marked.needing().values() for name in names}
    assert "sctp" in named and set(marked.features()) == named


def test_a_kernel_is_its_image_and_modules_and_nothing_else() -> None:
    text = "Package: x\nDepends: linux-base-amd64 (= 7), linux-image-7.3.4+deb13-amd64 (= 7), linux-modules-amd64 (= 7), kmod\n"
    assert kernels.dependencies(text) == ["linux-image-7.3.4+deb13-amd64", "linux-modules-amd64"]


def test_the_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    text = initrd.cpio({"bin/tool": (0o755, b"abc"), "modules": (0o644, b"")})
    assert text.startswith(b"070701") and len(text) % 4 == 0
    assert text.index(b"bin\0") < text.index(b"bin/tool\0") < text.index(b"TRAILER!!!")


LANE = """
import pathlib, subprocess, sys, time
from tests.vm.machine import dies_with_its_parent, scratch
with scratch() as folder:
    guest = subprocess.Popen(["sleep", "1000"], preexec_fn=dies_with_its_parent, stdout=subprocess.DEVNULL)
    (folder / "console").write_text("a line")
    print(folder, guest.pid, flush=True)
    time.sleep(1000)
"""


def test_nothing_is_left_of_a_lane_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", LANE], cwd=ROOT, stdout=subprocess.PIPE, text=True) as lane:
        assert lane.stdout is not None
        folder, guest = lane.stdout.readline().split()
        assert Path(folder, "console").exists()
        lane.kill()
    end = time.monotonic() + 60
    while Path(folder).exists() or runs(guest):
        assert time.monotonic() < end, (folder, guest)
        time.sleep(0.02)


def runs(number: str) -> bool:
    """Whether a process runs: one that nobody has waited for has no words."""
    try:
        return Path("/proc", number, "cmdline").read_bytes() != b""
    except OSError:
        return False


CI_BOOTSTRAP = """#!/bin/sh
echo "$@" >>"$LOG"
case "$2 $3" in "test --part") exit "$TESTS" ;; "test --rootless") exit "$ROOTLESS" ;; vm-test*) exit "$LANE" ;; esac
"""


@pytest.mark.parametrize(
    ("tests", "rootless", "lane", "status"),
    [(0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 0, 1), (0, 124, 137, 0), (0, 0, 124, 0), (1, 0, 0, 1), (124, 0, 0, 124)],
)
def test_ci_fails_by_tests_and_not_by_a_part_out_of_time(
    tmp_path: Path, tests: int, rootless: int, lane: int, status: int
) -> None:
    (tmp_path / ".ci").mkdir()
    log = tmp_path / "log"
    programs = {"bootstrap.sh": CI_BOOTSTRAP, "bin/sudo": '#!/bin/sh\nexec "$@"\n', "bin/modprobe": "#!/bin/sh\n"}
    for name, text in {".ci/run": (ROOT / ".ci" / "run").read_text(), **programs}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LOG": str(log)}
    env |= {"TESTS": str(tests), "ROOTLESS": str(rootless), "LANE": str(lane)}
    ended = subprocess.run([tmp_path / ".ci" / "run"], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    lines = log.read_text().splitlines()
    ran = 1 if tests else 2 if rootless == 1 else 4
    begins = ["invoke test --part", "invoke test --rootless --part", "invoke web-test --part --if-possible"]
    begins += ["invoke vm-test --part --if-possible --limit "]
    assert (
        [line.startswith(begin) for line, begin in zip(lines, begins, strict=False)]
        == [True] * ran
        == [True] * len(lines)
    )
    assert ("vm-test: not run: no result" in ended.stderr) == (lane > 1)
    assert ("test --rootless: not run: no result" in ended.stderr) == (rootless > 1)


@pytest.mark.parametrize(("words", "status"), [((), 3), (("--if-possible",), 0)])
def test_a_host_that_cannot_says_why(words: tuple[str, ...], status: int, tmp_path: Path) -> None:
    """Without programs on PATH there is no qemu."""
    line = [sys.executable, "-m", "tests.vm", "--part", *words]
    done = subprocess.run(
        line, cwd=ROOT, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("vm-test: not run: ") and done.returncode == status, done.stdout + done.stderr


def test_faults_in_a_guest_are_not_run_on_a_host_that_cannot(tmp_path: Path) -> None:
    line = [sys.executable, "tests/faults", "--kernel", "6.12", "--plane", "geneve"]
    env = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("not run: ") and done.returncode == 3, done.stdout + done.stderr


def test_a_shell_without_a_terminal_is_refused_at_once() -> None:
    line = [sys.executable, "-m", "tests.vm", "--shell"]
    done = subprocess.run(line, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.partition(";")[0]) == (2, "vm-test: --shell needs a terminal")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--kernel", "5.4"), "choose from '6.1', '6.12', '7.x'"),
        (("--read", "/nowhere.xml"), "No such file"),
        (("--read", "pyproject.toml"), "syntax error"),
        (("--limit", "soon"), "invalid int value"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_fetched(words: tuple[str, ...], says: str) -> None:
    line = [sys.executable, "-m", "tests.vm", *words]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and says in done.stdout + done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("expression", "says"), [("((", "-k"), ("no_such_test", "no test of this run matches")])
def test_an_expression_that_chooses_nothing_boots_no_guest(expression: str, says: str) -> None:
    """It was a run that passed, without a test."""
    program = f"from tests.vm.__main__ import _chosen, Marked; _chosen([Marked('tests/pure/test_units.py', 1)], '{expression}')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stderr.rpartition("_Unreadable: ")[2]
    assert says in last, done.stderr
