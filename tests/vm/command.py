"""A command in a guest, printed as it comes: for runs that are not pytest's."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from tests.vm.kernels import ROOT, kernel, supported
from tests.vm.machine import Machine, accelerator, ends_with_its_parent, scratch


def run(name: str, line: str, result: Path | None = None, *, root: Path = Path("/"), here: Path = ROOT) -> int:
    """Run a shell line in the folder ``here`` of a guest; its exit status, or 4 where the guest was given up.

    The file that it writes in /vm under the name of ``result`` is kept there, however the run ends. Raises ``Cannot``.
    """
    ends_with_its_parent()
    supported()
    one = kernel(name)
    with scratch() as within:
        machine = Machine(one, accelerator(one, within), within)
        _write(f"{one.release} by {machine.accel}\n")
        try:
            machine.boot(line, root=root, here=here)
            return _followed(machine)
        finally:
            machine.kill()
            if result and (machine.folder / result.name).exists():
                shutil.copyfile(machine.folder / result.name, result)
            machine.remove()


def _followed(machine: Machine) -> int:
    read = 0
    while True:
        time.sleep(0.5)
        gone = machine.process is not None and machine.process.poll() is not None
        text = machine.text("out")
        upto = text.rfind("\n") + 1
        _write(text[read:upto])
        read = max(read, upto)
        if status := machine.text("status").strip():
            return int(status)
        if trouble := "the guest ended without a result" if gone else machine.trouble():
            _write(f"given up: {trouble}\n")
            return 4


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
