"""Two workers in worlds of their own on this machine, and a scheduler: by TLS both ways, with the real engine."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import command

_CERTIFICATE = """
import sys
from distributed.security import Security
made = Security.temporary()
for name, text in (("ca", made.tls_ca_file), ("key", made.tls_worker_key)):
    with open(f"{sys.argv[1]}/{name}.pem", "w") as file:
        file.write(text)
"""


def until(what: Callable[[], Any], says: str) -> Any:
    """What a call answers as soon as it is true."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within a minute: {says}")


def in_pid_namespace(namespace: str) -> list[int]:
    """The processes of a PID namespace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns/pid") == namespace:
                found.append(int(folder.name))
        except OSError:
            pass
    return found


class Worker:
    """``netlab worker --world`` as a process; ``log`` is what it writes."""

    def __init__(self, farm: Farm, name: str) -> None:
        self.log = farm.folder / f"{name}.log"
        with self.log.open("w") as log:
            words = ["worker", "--scheduler", farm.address, "--name", name, "--listen", "127.0.0.1", "--world"]
            self.process = subprocess.Popen([*command(), *words], env=farm.env, stdout=log, stderr=log)
        until(lambda: "is at" in self.log.read_text() or self.process.poll() is not None, f"worker {name}")
        assert self.process.poll() is None, self.log.read_text()

    @property
    def first(self) -> int:
        """The first process of the world, by its number here."""
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    @property
    def namespace(self) -> str:
        return os.readlink(f"/proc/{self.first}/ns/pid")

    def has_a_lab(self) -> bool:
        """Whether a lab's namespaces are in the world."""
        return bool(os.listdir(f"/proc/{self.first}/root/run/netns"))

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)


class Farm:
    """A scheduler with certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-c", _CERTIFICATE, str(folder)], check=True)
        begin = "DASK_DISTRIBUTED__COMM__TLS__"
        certificates = {f"{begin}{role}__CERT": str(folder / "ca.pem") for role in ("CLIENT", "WORKER", "SCHEDULER")}
        keys = {f"{begin}{role}__KEY": str(folder / "key.pem") for role in ("CLIENT", "WORKER", "SCHEDULER")}
        self.env = {**os.environ, **certificates, **keys, f"{begin}CA_FILE": str(folder / "ca.pem")}
        where = folder / "scheduler.json"
        words = ["--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter"]
        program = "from distributed.cli.dask_scheduler import main; main()"
        with (folder / "scheduler.log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words, "--scheduler-file", str(where)],
                env=self.env, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        until(lambda: where.exists() and where.read_text(), "the scheduler")
        self.address = json.loads(where.read_text())["address"]
        self.workers: list[Worker] = []

    def worker(self, name: str) -> Worker:
        self.workers.append(Worker(self, name))
        return self.workers[-1]

    def end_workers(self) -> None:
        while self.workers:
            self.workers.pop().end()

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("the engine is not installed: pip install 'kubenetlab[cluster]'")
    made = Farm(tmp_path_factory.mktemp("farm"))
    yield made
    made.end()


@pytest.fixture
def farm(scheduler: Farm) -> Iterator[Farm]:
    yield scheduler
    scheduler.end_workers()
