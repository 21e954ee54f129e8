"""A virtual machine: a qemu process that dies with the lane, and the folder that it shares with its guest.

What a lane writes is in one folder. A shell in a session of its own waits for the lane's end and removes it, so that
nothing is left of a lane that was killed.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.vm.initrd import archive
from tests.vm.kernels import BUILD, MEMORY, ROOT, Kernel

# A guest that runs writes a sign of life every 5 seconds. A loaded host makes it slow, never silent.
BOOT = 240.0  # seconds until the first
SILENT = 180.0  # seconds between two
TRIAL = 20.0  # seconds in which a guest by KVM has booted, many times over

# no_timer_check: under TCG the check of the timer panics now and then ("IO-APIC + timer doesn't work").
# clocksource: a guest that a loaded host stops while it measures its TSC takes a wrong rate for it: its clock
# runs ahead, and every timeout comes too early. The HPET's rate is known.
_KERNEL_LINE = (
    "console=ttyS0 panic=-1 edd=off nokaslr mitigations=off random.trust_cpu=on tsc=reliable no_timer_check "
    "nowatchdog rcupdate.rcu_cpu_stall_suppress=1 loglevel={level}"
)

_RUN = """\
export HOME=/root PATH={path} PYTHONDONTWRITEBYTECODE=1 NO_COLOR=1
ip link set lo up; hostname vm
uname -r >/vm/release
while :; do date +%s >/vm/alive; sleep 5; done </dev/null >/dev/null 2>&1 &
modprobe br_netfilter
cd {here}
{command}
echo $? >/vm/status
sync; echo o >/proc/sysrq-trigger; while :; do :; done
"""

# Its input ends with the lane. qemu may write for a moment longer, so the first try can fail.
_JANITOR = 'read -r _ && exit; for _ in 1 2 3 4 5 6 7 8; do rm -rf -- "$1" && exit; sleep 1; done'


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder below ``build/vm`` that goes with the lane, even if the lane is killed."""
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
    with subprocess.Popen(
        ["sh", "-c", _JANITOR, "sh", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as janitor:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            janitor.communicate(b"\n")


def dies_with_its_parent(number: int = signal.SIGKILL) -> None:
    """This process gets the signal when its parent ends."""
    ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG


def ends_with_its_parent() -> None:
    """A lane whose `invoke` is killed, or that is terminated, ends as by Ctrl-C: what it has is kept, its guests go."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    dies_with_its_parent(signal.SIGTERM)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


class Machine:
    """One boot of a kernel: ``folder`` is what it shares with its guest."""

    def __init__(self, kernel: Kernel, accel: str, within: Path) -> None:
        self.kernel, self.accel = kernel, accel
        self.folder = Path(tempfile.mkdtemp(dir=within))
        self.began = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None

    def boot(self, command: str, *, terminal: bool = False, root: Path = Path("/"), here: Path = ROOT) -> None:
        """Start it; ``command`` is a line for its shell, run in the folder ``here`` of its ``root``."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        line = command if terminal else f"( {command} ) </dev/null >/vm/out 2>&1"
        (self.folder / "run.sh").write_text(_RUN.format(here=shlex.quote(str(here)), command=line, path=path))
        (self.folder / "initrd").write_bytes(archive(self.kernel))
        shares = (
            ("hostroot", root, True),
            ("hostmodules", self.kernel.modules, True),
            ("hostshare", self.folder, False),
        )
        options = [word for tag, at, readonly in shares for word in _share(tag, at, readonly=readonly)]
        console = ["-serial", f"file:{self.folder / 'console'}"]
        if terminal:  # without signal=off, Ctrl-C ends qemu and not the guest's command
            console = ["-chardev", "stdio,id=terminal,signal=off", "-serial", "chardev:terminal"]
        self.began = time.monotonic()
        line = [*_qemu(self.kernel, self.folder / "initrd", self.accel, quiet=terminal), *console, *options]
        self.process = _start(line, None if terminal else self.folder / "qemu")

    def trouble(self) -> str:
        """Why a machine that still runs is given up; empty where it is well."""
        alive = self.folder / "alive"
        if not alive.exists():
            return f"it did not boot in {BOOT:.0f} s" if time.monotonic() - self.began > BOOT else ""
        silent = time.time() - alive.stat().st_mtime
        return f"it hangs: no sign of life for {silent:.0f} s" if silent > SILENT else ""

    def processor(self) -> float:
        """Seconds of a processor that it has had: what it would have taken on an idle host. 0 where it has ended."""
        try:
            words = Path("/proc", str(self.process and self.process.pid), "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def remove(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def text(self, name: str) -> str:
        """A file that the guest wrote; empty where there is none."""
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""


def accelerator(kernel: Kernel, within: Path) -> str:
    """``kvm`` where a guest boots with it, else ``tcg``: that /dev/kvm is there and opens proves nothing."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    image = within / "trial"
    image.write_bytes(archive(kernel, trial=True))
    trial = _start([*_qemu(kernel, image, "kvm"), "-serial", "null"], within / "qemu")
    try:
        return "kvm" if trial.wait(TRIAL) == 0 else "tcg"
    except subprocess.TimeoutExpired:
        return "tcg"
    finally:
        trial.kill()
        trial.wait()


def _qemu(kernel: Kernel, initrd: Path, accel: str, *, quiet: bool = False) -> list[str]:
    # Of all that qemu can imitate, page tables of five levels and wide registers cost a fifth of the time.
    how = ["-accel", "kvm", "-cpu", "host"] if accel == "kvm" else ["-accel", "tcg,tb-size=512", "-cpu", "Nehalem"]
    line = _KERNEL_LINE.format(level=3 if quiet else 5) + ("" if accel == "kvm" else " clocksource=hpet")
    return [
        *("qemu-system-x86_64", "-M", "q35", *how, "-smp", "1", "-m", str(MEMORY)),
        *("-nodefaults", "-no-reboot", "-display", "none", "-device", "virtio-rng-pci"),
        *("-kernel", str(kernel.image), "-initrd", str(initrd), "-append", line),
    ]


def _share(tag: str, folder: Path, *, readonly: bool) -> Sequence[str]:
    model = f"local,id={tag},path={folder},security_model=none,multidevs=remap" + (",readonly=on" if readonly else "")
    return ("-fsdev", model, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}")


def _start(argv: Sequence[str], log: Path | None) -> subprocess.Popen[bytes]:
    """Start qemu with what it says in ``log``; without a log on this terminal."""
    with (log or Path(os.devnull)).open("wb") as stream:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if log else None,
            stdout=stream if log else None,
            stderr=stream if log else None,
            preexec_fn=dies_with_its_parent,  # noqa: PLW1509  # the lane has one thread
            process_group=0 if log else None,
        )
