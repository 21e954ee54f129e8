"""``invoke kubectl-test``: kubectl, Helm and client libraries of several versions, each against a lab of its own."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kit"))

import programs
from kubectltable import ROWS, Row

HERE = Path(__file__).resolve().parent
LAB = f"clients-{os.getpid()}"
#: Seconds of a command; `kubectl attach` never ends by itself.
_SECONDS, _ATTACHED = 60, 3
_WAIT = "--wait --timeout 60s"
HELM = (
    Row("list -o json", "[]"),
    Row(f"install rel chart {_WAIT}", "STATUS: deployed"),
    Row("list", "rel"),
    Row("status rel", "STATUS: deployed"),
    Row("get values rel --all", "replicas: 2"),
    Row(f"upgrade rel chart --set replicas=3 {_WAIT}", "REVISION: 2"),
    Row("history rel", "superseded"),
    Row(f"rollback rel 1 {_WAIT}", "Rollback was a success"),
    Row("uninstall rel", "uninstalled"),
    Row("list -o json", "[]"),
)


class Result(NamedTuple):
    """A client's steps; ``missing``: why it was not tried."""

    client: str
    steps: int = 0
    failed: tuple[str, ...] = ()
    missing: str = ""

    def line(self) -> str:
        if self.missing:
            return f"| {self.client} | - | not tried: {self.missing} |"
        passed = self.steps - len(self.failed)
        return f"| {self.client} | {passed} of {self.steps} | {'; '.join(self.failed) or 'nothing'} |"


Environment = dict[str, str]


def netlab(*words: str) -> str:
    argv = [sys.executable, "-m", "netlab", *words]
    return subprocess.run(argv, cwd=programs.ROOT, capture_output=True, text=True, check=True).stdout


def commands(program: str, rows: tuple[Row, ...], folder: Path, environment: Environment) -> Result:
    """Run a table's commands one after the other."""
    failed = []
    for row in rows:
        seconds = _ATTACHED if row.line.startswith("attach") else _SECONDS
        line = f"timeout {seconds} {program} {row.line}"
        given = {"shell": True, "cwd": folder, "env": environment, "stdin": subprocess.DEVNULL}
        done = subprocess.run(line, capture_output=True, text=True, check=False, **given)  # type: ignore[call-overload]
        text = done.stdout + done.stderr
        if row.expected not in text or done.returncode != row.status:
            failed.append(row.line)
            sys.stdout.write(f"  FAIL {program} {row.line}: exit status {done.returncode}: {text[-600:]}\n")
    return Result("", len(rows), tuple(failed))


def library(argv: list[str], folder: Path, environment: Environment) -> Result:
    """Run a program that prints its steps."""
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600)
    steps = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    failed = [f"{each['name']}: {each['text']}" for each in steps if not each["passed"]]
    if done.returncode:
        failed.append(f"exit status {done.returncode}: {done.stderr[-400:]}")
    return Result("", max(len(steps), len(failed)), tuple(failed))


def tried(client: str, get: Callable[[], Path], run: Callable[[Path, Path, Environment], Result]) -> Result:
    """One client against a new lab, in an empty home."""
    try:
        program = get()
    except programs.Missing as reason:
        return Result(client, missing=str(reason))
    with tempfile.TemporaryDirectory(prefix="netlab-clients-") as name:
        folder = Path(name)
        shutil.copytree(HERE / "inputs", folder, dirs_exist_ok=True)
        shutil.copytree(HERE / "chart", folder / "chart")
        (folder / "lab.yaml").write_text(
            (programs.ROOT / "labs" / "overlay" / "lab.yaml").read_text().replace("name: overlay", f"name: {LAB}", 1)
        )
        netlab("up", str(folder / "lab.yaml"))
        try:
            config = netlab("kubeconfig", LAB).strip()
            environment = {"PATH": os.environ["PATH"], "HOME": name, "KUBECONFIG": config, "LANG": "C.UTF-8"}
            result = run(program, folder, environment)
            drift = netlab("diff", LAB)
            if "no drift" not in drift:
                result = result._replace(failed=(*result.failed, f"netlab diff: {drift}"))
        finally:
            netlab("down", LAB)
    return result._replace(client=client)


def with_path(folder: Path, environment: Environment) -> Environment:
    return {**environment, "PATH": f"{folder}:{environment['PATH']}"}


def clients() -> dict[str, Callable[[], Result]]:
    """Each client's name and its run."""
    made: dict[str, Callable[[], Result]] = {}
    for names, package in programs.BINARIES.items():
        for name, program, rows in zip(names.split(", "), ("kubectl", "helm"), (ROWS, HELM), strict=True):
            made[name] = lambda name=name, package=package, program=program, rows=rows: tried(  # type: ignore[misc]
                name,
                lambda: programs.binaries(package),
                lambda at, folder, environment: commands(program, rows, folder, with_path(at, environment)),
            )
    newest = list(programs.BINARIES.values())[-1]
    for name, version in programs.PYTHON.items():
        script = str(HERE / f"client_{name}.py")

        def run(at: Path, folder: Path, environment: Environment, script: str = script) -> Result:
            return library([str(at), script], folder, with_path(programs.binaries(newest), environment))

        title = f"Python {name} {version}"
        made[title] = lambda title=title, run=run: tried(title, programs.python, run)  # type: ignore[misc]

    def in_node(at: Path, folder: Path, environment: Environment) -> Result:
        shutil.copy(HERE / "client_node.mjs", at)  # Node looks for packages beside the program
        return library(["node", str(at / "client_node.mjs")], folder, environment)

    title = " ".join(("Node", *programs.NODE))
    made[title] = lambda: tried(title, programs.node, in_node)
    return made


def main() -> int:
    """Exit status 1 where a step fails, 3 where a client is missing."""
    parser = argparse.ArgumentParser(prog="invoke kubectl-test", description=__doc__)
    parser.add_argument("--only", default="", help="clients whose names have this text")
    parser.add_argument("--fetch", action="store_true", help="only get the clients; this needs no root")
    options = parser.parse_args()
    if options.fetch:
        return programs.fetch()
    if os.geteuid() != 0:
        sys.stderr.write("kubectl-test: run it as root: sudo ./bootstrap.sh invoke kubectl-test\n")
        return 3
    results = []
    for name, run in clients().items():
        if options.only in name:
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            results.append(run())
    table = ["| client | steps | what fails |", "|---|---|---|", *(each.line() for each in results)]
    sys.stdout.write("\n".join(["", *table, ""]))
    return 1 if any(each.failed for each in results) else 3 if any(each.missing for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
