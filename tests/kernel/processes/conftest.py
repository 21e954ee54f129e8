"""A lab of Pods whose commands run, by the console command as a user has it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Result, command, run_netlab

ROOT = Path(__file__).resolve().parents[3]


class Lab:
    """``up`` builds it of Pods' specs by name; the rest looks at it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.path = name, folder / "lab.yaml"

    def netlab(self, verb: str, *args: str, **options: Any) -> Result:
        return run_netlab(verb, "--lab", self.name, *args, **options)

    def up(self, pods: Mapping[str, Any], **lab: Any) -> dict[str, Any]:
        spec = {"nodes": [{"name": "node-1"}, {"name": "node-2"}], **lab}
        documents = [{"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": self.name}, "spec": spec}]
        documents += [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod} for name, pod in pods.items()
        ]
        self.path.write_text(yaml.safe_dump_all(documents))
        found: dict[str, Any] = run_netlab("up", str(self.path), "-o", "json").json
        return found

    def pods(self) -> dict[str, tuple[str, str, str]]:
        """READY, STATUS, RESTARTS by name."""
        rows = [line.split() for line in self.netlab("get", "pods", "--no-headers").stdout.splitlines()]
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def pod(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.netlab("get", "pod", name, "-o", "json").json
        return found

    def until(self, true: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Wait until it is; its value."""
        deadline = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < deadline, f"still not, after {seconds} s\n{self.pods()}"
            time.sleep(0.05)
        return found

    def exec(self, pod: str, *argv: str, **options: Any) -> Result:
        return self.netlab("exec", pod, "--", *argv, **options)

    def diff(self) -> int:
        return run_netlab("diff", self.name, check=None).status

    def down(self) -> float:
        """How long it took, in seconds."""
        return float(run_netlab("down", self.name, "-o", "json").json[0]["seconds"])

    def start(self, *args: str) -> subprocess.Popen[str]:
        """A verb that goes on by itself."""
        line = [*command(), args[0], "--lab", self.name, *args[1:]]
        return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def agent(self) -> int:
        return int(Path(f"/run/netlab/{self.name}/agent.pid").read_text().split()[0])


@pytest.fixture
def lab(lab_name: str, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(lab_name, tmp_path)
    try:
        yield made
    finally:
        run_netlab("down", lab_name, check=None)
