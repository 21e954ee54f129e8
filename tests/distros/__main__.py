"""``invoke distro-test``: README's two commands and the suite in pristine roots of distributions.

Each root is made by mmdebstrap (kept as an archive in the user's cache), unpacked into a tmpfs of a mount namespace,
and gone with its last process. A suite that this host cannot get is named as not run and makes the exit status 3.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import boot
import hostsettings
import provision
import report
import suites

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OWN = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(suite: suites.Suite, words: list[str], fresh: bool, vagrant: bool) -> report.Outcome:
    out = ROOT / "build" / "distros" / suite.name
    try:
        archive = suites.archive(suite, fresh)
    except suites.NotRun as reason:
        return report.Outcome(suite.title, not_run=str(reason))
    out.mkdir(parents=True, exist_ok=True)
    for name in ("junit.xml", "readme"):
        (out / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="netlab-distro-") as folder:
        if vagrant:
            for at, (name, text) in enumerate(provision.scripts(ROOT / "Vagrantfile").items()):
                (Path(folder) / f"provision-{at}-{name}.sh").write_text(text)
        binds = hostsettings.write(Path(folder), suites.apt_settings())
        if "--use-bundle" in words:
            binds = []
        argv = [*OWN, "bash", str(HERE / "box.sh"), str(archive), str(ROOT), str(out), folder, " ".join(binds), *words]
        status = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode
    junit = out / "junit.xml"
    outcome = report.read(suite.title, junit) if junit.exists() else report.Outcome(suite.title)
    if status and not outcome.failed:
        outcome.broken = f"exit status {status}, the last lines are above"
    elif vagrant:
        try:
            outcome.broken = boot.boot(out / "provisioned.tar")
        except boot.Cannot as reason:
            say(f"not booted: {reason}")
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="invoke distro-test", description=__doc__)
    parser.add_argument("--suite", default="", help="names, with commas")
    parser.add_argument("-k", default="")
    parser.add_argument("--path", default="")
    parser.add_argument("--part", action="store_true")
    parser.add_argument("--workers", default="")
    parser.add_argument("--vagrant", action="store_true", help="the Vagrantfile's provisioners make the checkout ready")
    parser.add_argument("--bundle", action="store_true", help="only: make a bundle, and use it without a network")
    parser.add_argument("--wheel", action="store_true", help="only: install the wheel, as the package index gives it")
    parser.add_argument("--fresh", action="store_true", help="make the roots anew")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary folders are removed
    chosen = suites.chosen(options.suite)
    if os.geteuid() != 0:
        say("distro-test: pristine roots and namespaces need root: sudo ./bootstrap.sh invoke distro-test")
        return 3
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, check=False).stdout:
        say("distro-test: changes that are not committed are not in the clone, so they are not tested")
    words = ["--part"] if options.part else []
    for flag in ("k", "path", "workers"):
        value = getattr(options, flag)
        words += [f"--{flag}" if len(flag) > 1 else f"-{flag}", value] if value else []
    outcomes = []
    for suite in chosen:
        say(f"\n== {suite.title} ({suite.name})")
        bundle = (["--make-bundle"], ["--use-bundle"])
        for step in bundle if options.bundle else (["--wheel"],) if options.wheel else (words,):
            outcomes.append(run(suite, step, options.fresh, options.vagrant))
            say("\n".join(["", *report.lines(outcomes[-1])]))
            if outcomes[-1].broken or outcomes[-1].not_run:
                break
    if len(outcomes) > 1:
        say("\n".join(["", "== all", *(report.lines(outcome)[0] for outcome in outcomes)]))
    statuses = {outcome.status for outcome in outcomes}
    return 1 if 1 in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main())
