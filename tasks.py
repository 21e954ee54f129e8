"""The tasks of this checkout: ``invoke --list`` names them.

``invoke lab VERB ...`` is the console command ``netlab VERB ...``. invoke has no optional positionals and would take
netlab's options for its own, so everything after ``lab`` goes to netlab's main unread.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from compileall import compile_dir
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

HERE = Path(__file__).resolve().parent


def words_after_lab(argv: list[str]) -> list[str] | None:
    """What netlab shall see of ``invoke [--search-root DIR] lab WORDS...``; None where the task is another one."""
    words = argv[1:]
    if words[:1] == ["--search-root"]:
        words = words[2:]
    return words[1:] if words[:1] == ["lab"] else None


def _lab_door() -> None:
    """Leave for netlab before invoke reads the rest of the line: it would stop at the first option it does not know."""
    words = words_after_lab(sys.argv)
    if words is None or not Path(sys.argv[0]).name.startswith(("invoke", "inv")):
        return
    sys.path.insert(0, str(HERE))
    from netlab.cli.entry import main

    sys.argv = ["netlab", *words]
    raise SystemExit(main())


def _run(*argv: str) -> None:
    """Run a program in the checkout; its exit status becomes invoke's."""
    status = subprocess.run(argv, cwd=HERE, check=False).returncode
    if status:
        raise Exit(code=status if status > 0 else 128 - status)


def _python(*argv: str) -> None:
    _run(sys.executable, *argv)


@task
def lab(_: Context) -> None:
    """netlab itself: `invoke lab --help`, `invoke lab up overlay`."""


@task(
    help={
        "k": "only the tests whose names match this expression",
        "quick": "no tests that make namespaces",
        "all": "also every case of the long tables (conformance, data planes x families): half an hour and more",
        "part": "also a fixed part of conformance, as .ci/run does; with --rootless: a small fixed part of that",
        "rootless": "as a plain user, in a world without root: what makes sense there",
        "path": "test files or folders",
        "workers": "how many processes (default: three a core, since tests wait for three quarters of their time)",
    }
)
def test(
    _: Context,
    k: str = "",
    quick: bool = False,
    all: bool = False,  # noqa: A002  # the option's name
    part: bool = False,
    rootless: bool = False,
    path: str = "tests",
    workers: str = "",
) -> None:
    """Pure, kernel, labs, documentation, lints; of the long tables a fixed part: about 8 minutes on two cores."""
    if not (k or quick or all or part or rootless) and path == "tests":
        sys.stderr.write(
            "about 8 minutes on two idle cores; `invoke test --quick` takes one minute and no root. "
            "netlab works without any of this.\n"
        )
    # Hundreds of commands are run; where PYTHONDONTWRITEBYTECODE is set, each would compile netlab anew (0.4 s).
    compile_dir(HERE / "netlab", quiet=1)
    workers = workers or str(3 * len(os.sched_getaffinity(0)))
    argv = ["-m", "pytest", *path.split(), "-n", workers, "--dist", "loadgroup"]
    if rootless:
        files = path if path != "tests" else "part" if part else "all"
        _python("tests/rootless.py", files, *(["-k", k] if k else []), "-n", workers, "--dist", "loadgroup")
        return
    argv += ["-k", k] if k else []
    kinds = ["not kernel"] if quick else []
    if not all and path == "tests":
        kinds += ["not rest"] if part else ["not rest", "not long"]
    argv += ["-m", " and ".join(kinds)] if kinds else []
    if all:
        os.environ["NETLAB_CONFORMANCE_ALL"] = "1"
    _python(*argv)


@task(
    name="distro-test",
    help={
        "suite": "bookworm, trixie, testing, sid, jammy, noble, with commas (default: all but sid)",
        "k": "only the tests whose names match this expression",
        "part": "also a fixed part of the long tables, as .ci/run does",
        "path": "test files or folders",
        "workers": "how many processes",
        "fresh": "make the roots anew, not from the cache",
        "bundle": "only: make a bundle for machines without a network, and use it in such a root",
        "vagrant": "the Vagrantfile's provisioners make the checkout ready; the root is kept as provisioned.tar",
    },
)
def distro_test(
    _: Context,
    suite: str = "",
    k: str = "",
    part: bool = False,
    path: str = "",
    workers: str = "",
    fresh: bool = False,
    vagrant: bool = False,
    bundle: bool = False,
    wheel: bool = False,
) -> None:
    """README's two commands and the test suite in pristine roots of distributions, by mmdebstrap: needs root."""
    given = {"--suite": suite, "-k": k, "--path": path, "--workers": workers}
    words = [word for flag, value in given.items() if value for word in (flag, value)]
    flags = {"--part": part, "--fresh": fresh, "--vagrant": vagrant, "--bundle": bundle, "--wheel": wheel}
    words += [flag for flag, wanted in flags.items() if wanted]
    _python("tests/distros", *words)


@task(help={"fix": "mend what can be mended, and format"})
def lint(_: Context, fix: bool = False) -> None:
    """ruff, mypy, import-linter and the rules of the house."""
    if fix:
        _python("-m", "ruff", "check", "--fix", "-q", ".")
        _python("-m", "ruff", "format", "-q", ".")
    _python("-m", "pytest", "tests/house", "-q")


@task(
    help={
        "only": "which benchmarks: start,small,up,mininet,again,reach,memory,trace,capture",
        "sizes": "nodes x Pods a node: 10x20,10x100 (default 10x20)",
        "runs": "rounds of each, instead of its own number",
        "json": "where the JSON goes (default build/bench.json)",
    }
)
def bench(_: Context, only: str = "", sizes: str = "", runs: int = 0, json: str = "") -> None:
    """Measure against plain scripts and Mininet, as a table and JSON: docs/benchmarks.md."""
    given = {"--only": only, "--sizes": sizes, "--runs": str(runs) if runs else "", "--json": json}
    _python("tests/bench", *(word for flag, value in given.items() if value for word in (flag, value)))


@task(
    help={
        "corpora": "the folder of the corpora (default: $NETLAB_CONFORMANCE, else shared/conformance beside the checkout)",
        "lab": "the folder of a lab of yours: its data plane and its agents are judged, into conformance.md in there",
        "only": "with --lab: only corpora with this in their names",
        "part": "a fixed tenth of the cases",
        "jobs": "how many corpora at a time (default 1)",
        "machines": "on other machines, as `netlab test --machines`: docs/beyond.md",
    }
)
def conformance(
    _: Context,
    corpora: str = "",
    lab: str = "",
    only: str = "",
    part: bool = False,
    jobs: int = 1,
    machines: str = "",
) -> None:
    """Every case of the conformance corpora, into docs/conformance.md; `invoke test --part` takes a fixed tenth."""
    if corpora:
        os.environ["NETLAB_CONFORMANCE"] = str(Path(corpora).resolve())
    os.environ["NETLAB_CONFORMANCE_ALL"] = "0" if part else "1"
    given = {"--lab": lab, "--only": only, "--machines": machines}
    words = [word for flag, value in given.items() if value for word in (flag, value)]
    _python("tests/conformance", "--jobs", str(jobs), *words)


@task(
    help={
        "only": "the clients whose names have this text: kubectl, helm, Python, Node",
        "fetch": "only get the clients",
    }
)
def kubectl_test(_: Context, only: str = "", fetch: bool = False) -> None:
    """kubectl, Helm and client libraries of several versions against labs, and a table: docs/kubectl.md; needs root."""
    _python("tests/clients", *(("--only", only) if only else ()), *(["--fetch"] if fetch else []))


@task(
    iterable=["plane"],
    help={
        "plane": "only this data plane; may be repeated (default: all that the breakages name)",
        "only": "only breakages with this in their names",
        "half": "tuned or held-out: every other breakage (default: all)",
        "breakages": "instead a set in a lab of three nodes: shop-1 to shop-4",
        "known": "also the breakages that diagnose was written for",
    },
)
def diagnose_test(
    _: Context, plane: list[str], only: str = "", half: str = "", breakages: str = "", known: bool = False
) -> None:
    """Labs broken by hand in ways that diagnose was not written for: whether its first cause is right; needs root."""
    words = [word for name in plane for word in ("--plane", name)]
    words += [*(("--only", only) if only else ()), *(("--half", half) if half else ())]
    words += ["--set", breakages] if breakages else []
    _python("tests/diagnose", *words, *(["--known"] if known else []))


@task(
    iterable=["plane", "fault"],
    help={
        "plane": "only this data plane; may be repeated (default: all that this kernel has)",
        "fault": "only this fault; may be repeated",
        "table": "only write the table, with the marks that it has",
        "kernel": "in a virtual machine on this kernel of Debian: 6.1, 6.12 or 7.x, as `invoke vm-test` makes it",
    },
)
def faults_test(_: Context, plane: list[str], fault: list[str], table: bool = False, kernel: str = "") -> None:
    """Every fault on every data plane: its probe shows it, healed there is no drift; into docs/faults.md; needs root."""
    words = [*(word for name in plane for word in ("--plane", name)), *(w for name in fault for w in ("--fault", name))]
    _python("tests/faults", *words, *(["--table"] if table else []), *(("--kernel", kernel) if kernel else ()))


@task(help={"seconds": "how long (default 60)", "seed": "where the chance begins (default: by chance)"})
def fuzz(_: Context, seconds: int = 60, seed: int = -1) -> None:
    """Fields of every kind set to anything, through all that needs no kernel; the suite has a fixed few of these."""
    _python("tests/fuzz", "--seconds", str(seconds), *(("--seed", str(seed)) if seed >= 0 else ()))


@task(
    iterable=["kernel", "read"],
    help={
        "kernel": "6.1, 6.12 or 7.x; may be repeated (default: all three; 6.1 for --part and --shell)",
        "k": "only the tests whose names match this expression",
        "part": "a fixed part on one kernel: 5 minutes on two idle cores",
        "all": "also the tests and labs of which a plain run has only some: an hour on two idle cores",
        "shell": "a root shell in that kernel instead of the tests",
        "junit": "write a file for JUnit's readers",
        "table": "write the tables of docs/kernels.md",
        "read": "run nothing, and write these tables from a file of --junit; may be repeated, the last file has its say",
        "if_possible": "exit status 0 where this host cannot boot such a kernel or is too slow; the reason is printed",
        "machines": "how many machines at a time (default: one a core, at most two)",
        "limit": "seconds that a machine may test (default 1200)",
    },
)
def vm_test(
    _: Context,
    kernel: list[str],
    read: list[str],
    k: str = "",
    part: bool = False,
    all: bool = False,  # noqa: A002  # the option's name
    shell: bool = False,
    junit: str = "",
    table: bool = False,
    if_possible: bool = False,
    machines: str = "",
    limit: str = "",
) -> None:
    """The tests for which the kernel matters, on kernels of Debian in virtual machines: docs/kernels.md."""
    flags = {"--part": part, "--all": all, "--shell": shell, "--table": table, "--if-possible": if_possible}
    given = {"-k": k, "--junit": junit and str(Path(junit).resolve())}
    given |= {"--machines": machines, "--limit": limit}
    argv = [word for name in kernel for word in ("--kernel", name)]
    argv += [word for name in read for word in ("--read", str(Path(name).resolve()))]
    argv += [word for name, value in given.items() if value for word in (name, value)]
    _python("-m", "tests.vm", *argv, *(name for name, wanted in flags.items() if wanted))


@task
def web_test(_: Context, part: bool = False, if_possible: bool = False, screens: bool = False) -> None:
    """The live page in a real browser (chromium, by Playwright), with screenshots: docs/page.md; needs root.

    ``--screens`` makes the screenshots of docs/page.md again.
    """
    flags = {"--part": part, "--if-possible": if_possible, "--screens": screens}
    _python("tests/web", *(name for name, wanted in flags.items() if wanted))


@task(help={"session": "record README's terminal session instead; needs root and a terminal"})
def pictures(_: Context, session: bool = False) -> None:
    """Draw the pictures of README, docs and labs again, of their documents."""
    if session:
        recorder = str(Path(_docs_python()).with_name("termtosvg"))
        how = ("-g", "100x34", "-m", "40", "-M", "6000", "-D", "3000", "-t", "window_frame")  # cells, and milliseconds
        _run(recorder, "docs/pictures/session.svg", "-c", "bash scripts/session.sh", *how)
    else:
        _python("scripts/make_pictures.py")


@task
def docs(_: Context) -> None:
    """The pages of docs and labs as a site that needs no network, and man pages: build/docs/html and build/docs/man."""
    _run(_docs_python(), "scripts/make_site.py")


def _docs_python() -> str:
    """Python of the environment for documentation, made where the lock file is newer."""
    import venv

    lock = HERE / "requirements-docs.lock"
    place = HERE / "build" / "docs-venv"  # Sphinx and what it needs stay out of .venv
    stamp = place / "stamp"
    if not stamp.exists() or stamp.read_text() != lock.read_text():
        venv.create(place, clear=True, with_pip=True)
        install = ("-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes", "-r", str(lock))
        _run(str(place / "bin" / "python"), "-I", *install)
        stamp.write_text(lock.read_text())
    return str(place / "bin" / "python")


@task(name="exercises-test")
def exercises_test(_: Context, k: str = "") -> None:
    """Replay the solution of every exercise, for every value that is drawn: the baseline fails, then all checks are true."""
    _python("-m", "pytest", "tests/exercises", "tests/pure/exercise", *(["-k", k] if k else []))


@task
def lock(_: Context) -> None:
    """Take the newest releases into the lock files: all platforms, all hashes, no index named (docs/development.md)."""
    compile_ = ["uv", "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"]
    compile_ += ["--generate-hashes", "--custom-compile-command", "invoke lock", "pyproject.toml"]
    _run(*compile_, "-o", "requirements.lock")
    _run(*compile_, "--extra", "test", "-c", "requirements.lock", "-o", "requirements-test.lock")
    _run(*compile_, "--extra", "docs", "-c", "requirements.lock", "-o", "requirements-docs.lock")
    # A release candidate, which Ubuntu 22.04 has as its python3.11, is of no full version to pip.
    for name in ("requirements.lock", "requirements-test.lock", "requirements-docs.lock"):
        lines = (HERE / name).read_text()
        (HERE / name).write_text(re.sub(r"python_full_version (\S+) '(\d+\.\d+)'", r"python_version \1 '\2'", lines))


@task
def clean(_: Context) -> None:
    """Remove what tools left in the checkout: caches and builds, not .venv."""
    import shutil

    caches = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"}
    for folder, names, _files in os.walk(HERE):
        for name in [name for name in names if name in caches or (Path(folder) == HERE and name in {"build", "dist"})]:
            shutil.rmtree(Path(folder, name), ignore_errors=True)
        names[:] = [name for name in names if name not in caches | {".git", ".venv"}]


_lab_door()

namespace = Collection(
    *(lab, test, distro_test, vm_test, kubectl_test, web_test, faults_test, diagnose_test, exercises_test),
    *(pictures, docs, lint, bench, conformance, fuzz, lock, clean),
)
