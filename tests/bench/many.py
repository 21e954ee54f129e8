"""Very many Services: how long they take to load, what one more takes, and what a connection through one of them costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bed import Ran, Size, lab_command, rounds, run, settle, workshop
from floor import PORT
from rows import Row, ratios

if TYPE_CHECKING:
    from cases import Run

HERE = Path(__file__).parent
LAB = Size(1, 4)  # a client and three servers, so that each Service has three endpoints
FEW, MANY = 10, 10_000


def many(want: Run) -> Iterator[Row]:
    """The same lab with ten Services, with 3,000 and with 10,000."""
    few, lots = f"{want.lab}few", f"{want.lab}lots"
    with workshop(few) as folder, workshop(lots):
        _up(folder, few, FEW)
        loaded = _up(folder, lots, MANY)
        address = {lab: _address(lab) for lab in (few, lots)}

        def connect(lab: str) -> dict[str, float]:
            argv = [sys.executable, str(HERE / "floor.py"), f"{lab}-client", f"{lab}-alone", address[lab], "3000"]
            return {"": float(run(argv).stdout)}

        found = list(rounds(want.turns(15), {"few": lambda: connect(few), "many": lambda: connect(lots)}))
        more = {MANY: _one_more(lots)}
        lab_command("down", lots)
        _up(folder, lots, 3000)
        more[3000] = _one_more(lots)
    settle(want.lab)
    size = str(LAB)
    note = "from nothing, the whole command; 3 endpoints each"
    yield Row(f"{MANY:,} Services, up", size, (loaded.seconds,), "s", note)
    yield Row(f"{MANY:,} Services, up, processor time", size, (loaded.processor,), "s")
    columns = {key: tuple(one[key] for one in found) for key in ("few", "many")}
    yield Row(f"new connection by a Service, one of {FEW}", size, columns["few"], "us")
    yield Row(f"new connection by a Service, one of {MANY:,}", size, columns["many"], "us")
    yield ratios(f"new connection by a Service: of {FEW} / of {MANY:,}", size, columns["few"], columns["many"])
    for count, said in sorted(more.items()):
        yield Row(f"one Service more at {count:,}, its transaction", size, said["wall"], "s")
        note = "the library's and the kernel's, without what others take of the machine"
        yield Row(f"one Service more at {count:,}, its transaction, processor time", size, said["processor"], "s", note)


def _up(folder: Path, lab: str, count: int) -> Ran:
    file = folder / f"{lab}.yaml"
    file.write_text(_spec(lab, count), encoding="utf-8")
    return lab_command("up", "-f", str(file), "-o", "json")


def _address(lab: str) -> str:
    """The cluster IP of the Service whose only backend is the Pod ``alone``."""
    service = lab_command("get", "service", "alone", "--lab", lab, "-o", "json").json
    return str(service["spec"]["clusterIP"])


def _one_more(lab: str) -> dict[str, tuple[float, ...]]:
    said = run([sys.executable, str(HERE / "onemore.py"), lab]).json
    return {key: tuple(value) for key, value in said.items()}


def _spec(lab: str, count: int) -> str:
    head = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}}
    objects: list[dict[str, object]] = [{**head, "spec": {"nodes": [{"name": "node-1"}]}}]
    pods = [("client", "client"), ("alone", "web"), *((f"web-{number}", "web") for number in (1, 2))]
    objects += [_object("Pod", name, {"containers": [{"name": "c", "image": "x"}]}, app=app) for name, app in pods]
    # A command's ports are its own: netlab's responder would take the one on which floor.py is to listen.
    container = {"name": "c", "image": "x", "command": ["sleep", "3600"]}
    # Without links: the variables of 10,000 Services are more than a process can be given, here as in a cluster.
    own = {"containers": [container], "enableServiceLinks": False}
    objects[2] = _object("Pod", "alone", own, app="web", alone="yes")
    objects.append(_service("alone", {"alone": "yes"}, PORT))
    objects += [_service(f"s-{number}", {"app": "web"}, 80) for number in range(count - 1)]
    return "\n---\n".join(map(json.dumps, objects))


def _service(name: str, selector: dict[str, str], port: int) -> dict[str, object]:
    return _object("Service", name, {"selector": selector, "ports": [{"port": port}]})


def _object(kind: str, name: str, spec: dict[str, object], **labels: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}
