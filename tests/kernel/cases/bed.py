"""A lab from one of the small inputs beside this file, asked by real clients in its Pods."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import Result, run_netlab

INPUTS = Path(__file__).parent / "inputs"
_ASKS = """
import json, sys
from urllib.request import urlopen
for _ in range(int(sys.argv[2])):
    with urlopen(sys.argv[1], timeout=30) as reply:
        print(json.load(reply)["pod"])
"""
_CURL = {0: "open", 7: "refused", 28: "timeout"}


class Bed:
    """A running lab; ``name`` is its own, whatever its file says."""

    def __init__(self, name: str) -> None:
        self.name = name

    def up(self, case: str, *args: str) -> Result:
        return run_netlab("up", INPUTS / case / "lab.yaml", "--name", self.name, *args)

    def up_of(self, folder: Path, documents: list[Mapping[str, Any]]) -> Result:
        """A lab of these documents, the first of which is the Lab's."""
        path = folder / "lab.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return run_netlab("up", path, "--name", self.name)

    def netlab(self, verb: str, *args: str, check: int | None = 0, **options: Any) -> Result:
        return run_netlab(verb, *(() if verb == "check" else ("--lab", self.name)), *args, check=check, **options)

    def exec(self, where: str, *argv: str, check: int | None = 0) -> Result:
        return run_netlab("exec", "--lab", self.name, where, "--", *argv, check=check)

    def curl(self, where: str, url: str, *options: str) -> str:
        """What became of a request: open, refused, timeout, or curl's own status."""
        line = ["curl", "-sS", "-g", "-o", "/dev/null", "--connect-timeout", "2", "-m", "30", *options, url]
        done = subprocess.run(["ip", "netns", "exec", f"{self.name}-{where}", *line], capture_output=True, check=False)
        return _CURL.get(done.returncode, f"curl {done.returncode}")

    def who(self, where: str, url: str) -> dict[str, Any]:
        """The responder's answer."""
        line = ["ip", "netns", "exec", f"{self.name}-{where}", "curl", "-sS", "-g", "-m", "5", url]
        found: dict[str, Any] = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        return found

    def servers(self, where: str, url: str, times: int) -> set[str]:
        """The Pods that answer, of so many connections by one process."""
        line = ["ip", "netns", "exec", f"{self.name}-{where}", sys.executable, "-c", _ASKS, url, str(times)]
        return set(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split())

    def pod(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.netlab("get", "pod", name, "-o", "json").json
        return found


@cache
def existing_tests() -> frozenset[str]:
    """The names of all tests of the suite."""
    files = Path(__file__).parents[2].rglob("test_*.py")
    return frozenset(name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M))
