"""The engine: Dask's ``distributed``.  No other module imports it, and only verbs that need machines import this one.

Dask waits in silence in three places, each of which has an end here: a machine that never comes (``_PATIENCE``), a
machine that is gone (the caller asks ``Machines.names``), a call for a machine by its address (a resource is its name).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from netlab import __version__
from netlab.digest import sha256
from netlab.errors import HostCannot, HostLacks
from netlab.runtime.machines.protocol import Machines
from netlab.runtime.machines.where import Ssh, Where
from netlab.tuples import NamedTuple

try:
    import dask.config

    dask.config.set({"logging": {"distributed": "critical"}})
    from distributed import Client, Worker
    from distributed.comm.core import CommClosedError
    from distributed.deploy.local import LocalCluster
    from distributed.security import Security
except ImportError as error:
    raise HostCannot(f"several machines need the engine: {error}", hint="pip install 'kubenetlab[cluster]'") from error

Answer = TypeVar("Answer")

_PATIENCE = 60.0  # seconds for a first worker to be there
_BELOW_EPHEMERAL = range(20000, 32000)  # ports that no kernel gives out by itself
_ROLES = {"client": "CLIENT", "worker": "WORKER"}


# -- the driver -------------------------------------------------------------------------------------------------------


class _Connected:
    """The machines of a scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def names(self) -> tuple[str, ...]:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return tuple(sorted(str(worker["name"]) for worker in workers))

    def call(self, machine: str, function: Callable[..., Answer], *values: object) -> Future[Answer]:
        # Dask turns a worker's name into its address at once, and waits for ever where that worker comes back.
        pinned = self._client.get_executor(pure=False, resources={_resource(machine): 1})
        future: Future[Answer] = pinned.submit(function, *values)
        return future

    def executor(self) -> Executor:
        made: Executor = self._client.get_executor(pure=False)
        return made


@contextmanager
def connect(where: Where, *, path: Sequence[str] = ()) -> Iterator[Machines]:
    """The machines, for the length of the block; with ssh, workers in worlds of their own that end with it.

    ``path``: more folders of modules for workers by ssh.  Raises HostCannot where no machine is there, and where one
    has another netlab than this machine.
    """
    started: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        if where.hosts:
            security = Security.temporary()
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=0, host="127.0.0.1", protocol="tls://", security=security,
                    dashboard_address=None, scheduler_port=0, silence_logs=False,
                )
            )  # fmt: skip
            address = scheduler.scheduler_address
            for host in where.hosts:
                started[host.name] = _started(host, address, security, path)
                stack.callback(_ended, started[host.name])
        else:
            address, security = where.scheduler, _security("client", where.scheduler)
        try:
            client = stack.enter_context(Client(address, security=security, timeout=20, set_as_default=False))
            _await(client, started)
        except (OSError, TimeoutError, CommClosedError) as error:
            what = "not all workers have come" if where.hosts else f"{address}: no scheduler, or no worker of it"
            says = str(error).partition("\n")[0]
            raise HostCannot(f"{what}{f' ({says})' if says else ''}", hint="netlab worker --help") from error
        machines = _Connected(client)
        _require_same(client.run(identity))
        yield machines


def _await(client: Client, started: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Wait for all workers by ssh, or for the first one of a scheduler.  Raises TimeoutError."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            client.wait_for_workers(max(1, len(started)), timeout=1)
            return
        except TimeoutError:
            for name, process in started.items():
                if (status := process.poll()) is not None:
                    raise HostCannot(
                        f"machine {name}: its worker ended, with exit status {status}", hint="its own message is above"
                    ) from None
            if time.monotonic() > until:
                raise


def identity() -> dict[str, str]:
    """What must be the same on all machines: netlab's version and its sources."""
    package = Path(__file__).resolve().parents[2]
    sources = sha256("".join(file.read_text(encoding="utf-8") for file in sorted(package.rglob("*.py"))))
    return {"version": __version__, "sources": sources.hex()[:12]}


def _require_same(workers: Mapping[str, dict[str, str]]) -> None:
    """Raises HostCannot where workers would give the answers of another netlab."""
    own = identity()
    for address, theirs in workers.items():
        differing = [key for key in ("version", "sources") if theirs.get(key) != own[key]]
        if differing:
            said = ", ".join(f"{key} {theirs.get(key)}, here {own[key]}" for key in differing)
            raise HostCannot(f"the worker at {address} has another netlab: {said}", hint="install the same on both")


def _started(host: Ssh, scheduler: str, security: Security, path: Sequence[str]) -> subprocess.Popen[bytes]:
    """A worker by ssh.  Everything between it and this process goes through ssh, so no port of either machine is open.

    The certificate goes by standard input: arguments are readable for every user of a machine.
    """
    port = scheduler.rpartition(":")[2]
    theirs, listens, here = random.sample(_BELOW_EPHEMERAL, 3)
    words = [host.python or sys.executable, "-m", "netlab", "worker", "--world", "--given", "--name", host.name]
    words += ["--scheduler", f"tls://127.0.0.1:{theirs}", "--listen", f"127.0.0.1:{listens}"]
    words += ["--contact", f"tls://127.0.0.1:{here}"]
    environment = [f"PYTHONPATH={':'.join(path)}"] if path else []
    command = f'[ "$(id -u)" = 0 ] || S="sudo -n"; exec $S env {shlex.join([*environment, *words])}'
    forward = ["-R", f"127.0.0.1:{theirs}:127.0.0.1:{port}", "-L", f"127.0.0.1:{here}:127.0.0.1:{listens}"]
    options = ["-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"]
    try:
        process = subprocess.Popen(["ssh", *options, *forward, *host.words, command], stdin=subprocess.PIPE)
    except FileNotFoundError as error:
        raise HostLacks("there is no ssh on this machine", hint="apt-get install openssh-client") from error
    given = {key: getattr(security, f"tls_{key}") for key in ("ca_file", "worker_cert", "worker_key")}
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(given).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # ssh itself says why
    return process


def _ended(process: subprocess.Popen[bytes]) -> None:
    """A worker ends when its standard input does."""
    assert process.stdin is not None
    try:
        process.stdin.close()
        process.wait(10)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


def _security(role: str, address: str) -> Security | None:
    """The certificates of Dask's own configuration.  Raises HostCannot where TLS has none."""
    if address.startswith("tcp://"):
        return None
    security = Security(require_encryption=True)
    config = security.get_tls_config_for_role(role)
    missing = [key for key in ("ca_file", "cert", "key") if not config[key]]
    if missing:
        begin = "DASK_DISTRIBUTED__COMM__TLS__"
        names = {
            "ca_file": f"{begin}CA_FILE",
            "cert": f"{begin}{_ROLES[role]}__CERT",
            "key": f"{begin}{_ROLES[role]}__KEY",
        }
        raise HostCannot(
            f"{address}: TLS needs a certificate on both sides, and Dask's configuration has none",
            hint=f"set {', '.join(names[key] for key in missing)}: docs/beyond.md",
        )
    absent = [config[key] for key in ("ca_file", "cert", "key") if not os.access(config[key], os.R_OK)]
    if absent:
        raise HostCannot(f"{', '.join(absent)}: the certificate cannot be read")
    return security


def _resource(machine: str) -> str:
    return f"at-{machine}"


# -- a worker ---------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """How a worker is reached: ``listen``, an address with or without a port; ``contact``, what the scheduler is told."""

    listen: str = ""
    contact: str = ""


def serve(scheduler: str, name: str, process: Executor, place: Place, *, given: bool) -> int:
    """Be one machine's worker until the scheduler goes, a signal comes, or (``given``) standard input ends.

    Raises HostCannot where the scheduler does not answer or does not take the worker.
    """
    if given:
        pem = json.loads(_line())
        security: Security | None = Security(
            require_encryption=True, tls_ca_file=pem["ca_file"],
            tls_worker_cert=pem["worker_cert"], tls_worker_key=pem["worker_key"],
        )  # fmt: skip
    else:
        security = _security("worker", scheduler)
    with tempfile.TemporaryDirectory(prefix="netlab-worker-", dir="/run") as folder:
        worker = partial(
            Worker, scheduler, name=name, nthreads=1, executor=process, security=security, local_directory=folder,
            resources={_resource(name): 1}, memory_limit=0, dashboard=False, death_timeout=_PATIENCE,
            contact_address=place.contact or None, protocol=scheduler.partition("://")[0], **_bound(place.listen),
        )  # fmt: skip
        return asyncio.run(_served(worker, f"worker {name}", scheduler, given=given))


def _bound(listen: str) -> dict[str, Any]:
    host, colon, port = listen.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return {"host": host.strip("[]"), "port": int(port)}
    return {"host": listen.strip("[]")} if listen else {}


def _line() -> bytes:
    """A line of standard input, and nothing behind it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        got = os.read(0, 1)
        if not got:
            raise HostCannot("no certificate came on standard input")
        line += got
    return bytes(line)


def _at_end(stop: asyncio.Event) -> None:
    if not os.read(0, 4096):
        stop.set()


async def _served(make: Callable[[], Worker], says: str, scheduler: str, *, given: bool) -> int:
    try:
        worker = await asyncio.wait_for(make(), _PATIENCE + 10)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise HostCannot(f"{says} cannot join {scheduler}: {error}") from error
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if given:
        loop.add_reader(0, _at_end, stop)
    sys.stderr.write(f"{says} is at {worker.address}, scheduler {scheduler}\n")
    sys.stderr.flush()
    finished = asyncio.create_task(worker.finished())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((finished, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not finished.done():
        await worker.close(timeout=2, executor_wait=False, reason="netlab worker was ended")
    return 0
