"""What is measured or checked through netlab's own Python interface, each in a process of its own.

python tests/bench/inside.py apply SPEC     build all kernel objects in this process, print the seconds of `apply`
python tests/bench/inside.py bare SPEC      the same without sysctls and offloads: the rtnetlink messages alone
python tests/bench/inside.py differs SPEC   how the kernel differs from the spec, a line an object
python tests/bench/inside.py script SPEC FOLDER [bare]   write the plain script
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from plainscript import PlainScript  # noqa: E402

from netlab.cli.drafts import draft  # noqa: E402
from netlab.kernel.linux import LinuxKernel  # noqa: E402
from netlab.objects import Bridge, File, Listener, Obj, Op, State, Sysctl, Veth, Vxlan  # noqa: E402
from netlab.plan import drift  # noqa: E402
from netlab.runtime.lab import plan  # noqa: E402


def wanted(spec: str) -> tuple[str, tuple[Op, ...]]:
    """The lab's name and the operations that make all its kernel objects."""
    lab, todo = plan(draft("", [spec], ""))
    return lab.cluster.lab, tuple(op for op in todo.operations if not isinstance(op.obj, File | Listener))


def _offloads_on(obj: Obj) -> Obj:
    if isinstance(obj, Veth):
        return replace(obj, end=replace(obj.end, offload=True), peer=replace(obj.peer, offload=True))
    return replace(obj, offload=True) if isinstance(obj, Bridge | Vxlan) else obj


def without_tuning(operations: Iterable[Op]) -> tuple[Op, ...]:
    """What the bare script builds: no sysctls, and every device with the offloads that the kernel gives it."""
    return tuple(replace(op, obj=_offloads_on(op.obj)) for op in operations if not isinstance(op.obj, Sysctl))


def differs(lab: str, want: State) -> list[str]:
    """What differs from ``want`` in the kernel, a line an object."""
    with LinuxKernel() as kernel:
        seen = kernel.observe(lab, want).state
    return [f"{op.verb} {op.obj.kind} {op.obj.name} in {op.obj.netns}" for op in drift(want, seen).operations]


def main(verb: str, spec: str, *more: str) -> None:
    """One of the verbs above; prints JSON."""
    lab, operations = wanted(spec)
    said: object
    if verb == "script":
        built = PlainScript(operations, Path(more[0]), bare="bare" in more)
        said = {"argv": built.argv, "removal": built.removal}
    elif verb in ("differs", "differs-bare"):
        chosen = without_tuning(operations) if verb == "differs-bare" else operations
        said = differs(lab, State(op.obj for op in chosen))
    else:
        chosen = without_tuning(operations) if verb == "bare" else operations
        gc.freeze()
        gc.disable()
        with LinuxKernel() as kernel:
            began = time.perf_counter()
            kernel.apply(chosen)
            seconds = time.perf_counter() - began
        said = {"seconds": seconds, "objects": Counter(op.obj.kind for op in chosen)}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
