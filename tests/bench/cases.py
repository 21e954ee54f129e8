"""The benchmarks themselves: each makes rows, and leaves the machine as it found it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bed import Failed, Ran, Size, inside, lab_command, pod, rounds, run, settle, spec, workshop
from capturing import capturing
from many import many
from names import names
from policy import policy
from rows import Row, ratios
from testing import testing
from tracing import tracing

HERE = Path(__file__).parent
SCRIPTED = 1000  # Pods up to which plain scripts and Mininet are run too: they take minutes beyond
SMALL = Size(2, 2)


@dataclass(frozen=True)
class Run:
    """What the command line asked for: the lab's name, the sizes, how many rounds (0: each case's own number)."""

    lab: str
    sizes: tuple[Size, ...]
    times: int

    def turns(self, usual: int) -> int:
        """How many rounds."""
        return self.times or usual


def start(want: Run) -> Iterator[Row]:
    """What every command costs before it does anything."""

    def one(word: str) -> Callable[[], dict[str, float]]:
        return lambda: {"": lab_command(word).seconds}

    ways = {word: one(word) for word in ("--help", "ls")}
    found = list(rounds(want.turns(9), ways))
    for word in ways:
        yield Row(f"netlab {word}", "", tuple(each[word] for each in found), "s")


def small(want: Run) -> Iterator[Row]:
    """``up`` and ``down`` of a lab as the lab pages have them."""
    yield from _up_and_down(want, SMALL, want.turns(7))


def up(want: Run) -> Iterator[Row]:
    """``up`` against the plain scripts, pair by pair; and the kernel's own share."""
    for size in want.sizes:
        if size.total > SCRIPTED:
            yield from _up_and_down(want, size, want.turns(1))
        else:
            yield from _against_scripts(want, size)


def _up_and_down(want: Run, size: Size, times: int) -> Iterator[Row]:
    with workshop(want.lab) as folder:
        file = _written(folder, want.lab, size)
        settle(want.lab)
        found = list(rounds(times, {"": lambda: _netlab(want.lab, file)}))
    yield from _own(found, size, "")


def _own(found: list[dict[str, float]], size: Size, prefix: str) -> Iterator[Row]:
    notes = {"work": "its own `seconds`: without the start of Python", "busy": "user and system, all threads"}
    for name, key in (("up", "up"), ("up, work alone", "work"), ("up, processor time", "busy"), ("down", "down")):
        note = notes.get(key, "")
        yield Row(name, str(size), tuple(one[f"{prefix}{key}"] for one in found), "s", note)


def _netlab(lab: str, file: Path) -> dict[str, float]:
    made = lab_command("up", "-f", str(file), "-o", "json")
    gone = lab_command("down", lab)
    settle(lab)
    return {"up": made.seconds, "work": made.json["seconds"], "busy": made.processor, "down": gone.seconds}


def _written(folder: Path, lab: str, size: Size) -> Path:
    file = folder / "lab.yaml"
    file.write_text(spec(lab, size), encoding="utf-8")
    return file


def _against_scripts(want: Run, size: Size) -> Iterator[Row]:
    lab = want.lab
    with workshop(lab) as folder:
        file = _written(folder, lab, size)
        scripts = {
            "complete": inside("script", str(file), str(folder / "complete")),
            "bare": inside("script", str(file), str(folder / "bare"), "bare"),
        }
        settle(lab)
        yield from _fair(want, size, file, scripts)

        def script(way: str) -> dict[str, float]:
            seconds = run(scripts[way]["argv"]).seconds
            run(scripts[way]["removal"])
            settle(lab)
            return {"": seconds}

        def in_process(way: str) -> dict[str, float]:
            seconds = inside(way, str(file))["seconds"]
            run(scripts["complete"]["removal"])
            settle(lab)
            return {"": seconds}

        ways: dict[str, Callable[[], dict[str, float]]] = {
            "netlab": lambda: _netlab(lab, file),
            "complete": lambda: script("complete"),
            "bare": lambda: script("bare"),
            "apply": lambda: in_process("apply"),
            "messages": lambda: in_process("bare"),
        }
        found = list(rounds(want.turns(5 if size.total <= 300 else 3), ways))
    yield from _own(found, size, "netlab ")
    columns = {name: [one.get(name, one.get(f"{name} up", 0.0)) for one in found] for name in ways}
    labels = {
        "complete": ("complete script", "ip, bridge, sysctl, ethtool, nft in batches"),
        "bare": ("bare script", "the same without sysctl and ethtool"),
        "apply": ("kernel's share, all objects", "in one process: the operations alone, nothing observed"),
        "messages": ("kernel's share, bare objects", "the same without sysctls and offloads"),
    }
    for name, (label, note) in labels.items():
        yield Row(label, str(size), tuple(columns[name]), "s", note)
    yield ratios("up / complete script", str(size), columns["netlab"], columns["complete"])
    yield ratios("up / bare script", str(size), columns["netlab"], columns["bare"])


def _fair(want: Run, size: Size, file: Path, scripts: dict[str, dict[str, list[str]]]) -> Iterator[Row]:
    """The proof that the scripts build what netlab builds: netlab sees no difference after them."""
    for way, verb in (("complete", "differs"), ("bare", "differs-bare")):
        run(scripts[way]["argv"])
        found = inside(verb, str(file))
        run(scripts[way]["removal"])
        settle(want.lab)
        note = f"of {_objects(file, way)} kernel objects" + "".join(f"; {line}" for line in found[:3])
        yield Row(f"objects that the {way} script builds otherwise", str(size), (float(len(found)),), "", note)


def _objects(file: Path, way: str) -> int:
    operations = lab_command("plan", "-f", str(file), "-o", "json").json["operations"]
    kinds = Counter(operation["kind"] for operation in operations)
    without = {"file", "listener"} | ({"sysctl"} if way == "bare" else set())
    return sum(number for kind, number in kinds.items() if kind not in without)


def mininet(want: Run) -> Iterator[Row]:
    """Mininet with as many hosts and bridges, up plus down, against the same of netlab."""
    name = "Mininet / netlab, up plus down"
    for size in want.sizes:
        lacking = [program for program in ("mn", "brctl", "unshare") if not shutil.which(program)]
        if lacking or size.total > SCRIPTED:
            why = f"{', '.join(lacking)} not found: apt-get install --no-install-recommends mininet bridge-utils"
            yield Row(name, str(size), (), "x", why if lacking else "not run at this size")
            continue
        with workshop(want.lab) as folder:
            file = _written(folder, want.lab, size)
            settle(want.lab)

            def other(size: Size = size) -> dict[str, float]:
                seconds = run([str(HERE / "mininet.sh"), str(size.nodes), str(size.pods)]).seconds
                settle(want.lab)
                return {"": seconds}

            def ours(file: Path = file) -> dict[str, float]:
                found = _netlab(want.lab, file)
                return {"": found["up"] + found["down"]}

            try:
                found = list(rounds(want.turns(3), {"netlab": ours, "mininet": other}))
            except Failed as error:
                yield Row(name, str(size), (), "x", f"Mininet does not run here: {str(error)[:200]}")
                continue
        theirs = [one["mininet"] for one in found]
        mine = [one["netlab"] for one in found]
        yield Row("netlab, up plus down", str(size), tuple(mine), "s")
        yield Row(
            "Mininet, up plus down", str(size), tuple(theirs), "s", "`mn --topo linear --switch lxbr --test none`"
        )
        yield ratios(name, str(size), theirs, mine)


def again(want: Run) -> Iterator[Row]:
    """What it costs to change nothing, to look for drift, and to change a little, in a running lab."""
    for size in want.sizes:
        with workshop(want.lab) as folder:
            file = _written(folder, want.lab, size)
            extra = folder / "extra.yaml"
            extra.write_text(pod("extra", 1), encoding="utf-8")
            lab_command("up", "-f", str(file))

            def changed(file: Path = file, extra: Path = extra) -> dict[str, float]:
                same = lab_command("up", "-f", str(file), "-o", "json")
                if same.json["changed"]:
                    raise Failed(f"`up` of an unchanged lab changed {same.json['changed']} objects")
                return {
                    "up again, nothing to do": same.seconds,
                    "diff": lab_command("diff", want.lab).seconds,
                    "one Pod added": lab_command("apply", "--lab", want.lab, "-f", str(extra)).seconds,
                    "one Pod removed": lab_command("delete", "--lab", want.lab, "-f", str(extra)).seconds,
                }

            found = list(rounds(want.turns(5 if size.total <= SCRIPTED else 1), {"": changed}))
        for name in found[0]:
            yield Row(name, str(size), tuple(one[name] for one in found), "s")
        settle(want.lab)


def reach(want: Run) -> Iterator[Row]:
    """All Pods to all Pods by real TCP connections: how fast, and how many answers are wrong."""
    rate, false = "reach, TCP probes a second", "reach, false answers"
    try:
        lab_command("reach", "--help")
    except Failed:
        for size in want.sizes:
            yield Row(rate, str(size), (), "", "this netlab has no verb reach")
        return
    for size in want.sizes:
        if size.total > SCRIPTED:
            yield Row(rate, str(size), (), "", "not run at this size")
            continue
        with workshop(want.lab) as folder:
            lab_command("up", "-f", str(_written(folder, want.lab, size)))
            pods = lab_command("get", "pods", "-A", "-o", "json", "--lab", want.lab).json["items"]
            addresses = {
                f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["status"]["podIP"] for one in pods
            }
            found, busy = [], []
            for _ in range(want.turns(3)):
                before = _processor(want.lab)
                ran = lab_command("reach", want.lab, "-o", "json", status=(0, 4))
                found.append((ran.seconds, *_judged(ran, addresses)))
                busy.append((ran.processor * 1e6 / found[-1][1], (_processor(want.lab) - before) * 1e6 / found[-1][1]))
            apart = next((one for one in pods if one["spec"]["nodeName"] != pods[0]["spec"]["nodeName"]), None)
            floor = [_floor(pods[0], apart) for _ in range(want.turns(3))] if apart else []
        settle(want.lab)
        if floor:
            note = (
                "one loop that connects, asks, answers, resets, between two nodes; two cores do two at a time at most"
            )
            yield Row("reach, kernel's own time a connection", str(size), tuple(floor), "us", note)
        note = f"{found[0][1]:,.0f} flows"
        yield Row(rate, str(size), tuple(flows / seconds for _, flows, seconds, _ in found), "", note)
        yield Row("reach, whole command", str(size), tuple(one[0] for one in found), "s")
        label = "reach, processor time a probe"
        yield Row(f"{label}: prober", str(size), tuple(one[0] for one in busy), "us", "with the packets' way, mostly")
        yield Row(f"{label}: agent", str(size), tuple(one[1] for one in busy), "us")
        yield Row(false, str(size), tuple(float(one[3]) for one in found), "", "no policies: every flow must be open")


def _floor(source: dict[str, Any], target: dict[str, Any]) -> float:
    """Microseconds of processor time that a bare connection takes between two Pods (``floor``)."""
    ends = [one["metadata"]["annotations"]["netlab/netns"] for one in (source, target)]
    argv = [sys.executable, str(Path(__file__).with_name("floor.py")), *ends, target["status"]["podIP"]]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def _judged(ran: Ran, addresses: dict[str, str]) -> tuple[int, float, int]:
    """TCP flows, seconds of probing, and false answers: not open, by the wrong Pod, from a wrong source, or missing."""
    matrix = ran.json
    flows = [flow for flow in matrix["flows"] if flow["protocol"] == "TCP" and flow["to"] in addresses]
    pairs = {(flow["from"], flow["to"]) for flow in flows}
    missing = len(addresses) ** 2 - len(pairs)
    wrong = sum(
        flow["outcome"] != "open" or flow["server"] != flow["to"] or not _same(flow, addresses) for flow in flows
    )
    return len(flows), matrix["seconds"], wrong + missing


def _processor(lab: str) -> float:
    """Seconds of processor time that the lab's agent has used."""
    ticks = 0
    for pid in _agents(lab):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _same(flow: dict[str, str], addresses: dict[str, str]) -> bool:
    return flow["client"] == addresses[flow["from"]]


def memory(want: Run) -> Iterator[Row]:
    """What the agent holds: resident (all its pages) and proportional (shared pages divided among their users)."""
    for size in want.sizes:
        with workshop(want.lab) as folder:
            lab_command("up", "-f", str(_written(folder, want.lab, size)))
            pids = _agents(want.lab)
            if not pids:
                yield Row("agent, resident", str(size), (), "MiB", "no agent found")
                continue
            totals: Counter[str] = Counter()
            for pid in pids:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
                for key, kib in re.findall(r"^(Rss|Pss|Private_Dirty):\s+(\d+) kB", text, re.M):
                    totals[key] += int(kib)
        settle(want.lab)
        note = "" if len(pids) == 1 else f"{len(pids)} processes"
        yield Row("agent, resident", str(size), (totals["Rss"] / 1024,), "MiB", note)
        yield Row("agent, proportional", str(size), (totals["Pss"] / 1024,), "MiB")
        yield Row("agent, its own dirty pages", str(size), (totals["Private_Dirty"] / 1024,), "MiB")


def _agents(lab: str) -> list[int]:
    """The agent's processes."""
    ask = "import json, sys; from netlab.runtime.client.agentclient import find; print(json.dumps(find(sys.argv[1])))"
    found: list[int] = run([sys.executable, "-c", ask, lab]).json
    return found


CASES: dict[str, Callable[[Run], Iterator[Row]]] = {
    "start": start,
    "small": small,
    "up": up,
    "mininet": mininet,
    "again": again,
    "reach": reach,
    "memory": memory,
    "trace": tracing,
    "dns": names,
    "policy": policy,
    "services": many,
    "capture": capturing,
    "test": testing,
}
