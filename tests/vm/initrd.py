"""What a guest boots with: an archive of busybox and the modules that mount the host's root, read-only, below a tmpfs.

The guest sees the host's programs, .venv and working tree by 9p; what it writes stays in its memory.  One folder is
shared both ways: the guest writes its output, its exit status and a sign of life into it.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
from pathlib import Path

from tests.vm.kernels import Kernel

_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_rng")
_9P = "trans=virtio,version=9p2000.L,msize=512000"

_INIT = f"""\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /ro /rw /new
mount -t proc p /proc; mount -t devtmpfs d /dev
for module in $(cat /modules); do insmod /m/$module || echo "insmod $module failed" >/dev/ttyS0; done
mount -t 9p -o ro,{_9P},cache=loose hostroot /ro || poweroff -f
mount -t tmpfs -o size=70% t /rw; mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work o /new
modules=$(readlink -f /new/lib)/modules; mkdir -p "$modules/$(uname -r)"
mount -t 9p -o ro,{_9P},cache=loose hostmodules "$modules/$(uname -r)"
mount -t proc p /new/proc; mount -t sysfs s /new/sys; mount --move /dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm; mount -t devpts p /new/dev/pts; mount -t tmpfs t /new/dev/shm
mount -t tmpfs t /new/run; mkdir -p /new/run/netns /new/run/lock
mount -t tmpfs -o mode=1777 t /new/tmp; rm -rf /new/etc/netns
mount -t cgroup2 c /new/sys/fs/cgroup; mount -t debugfs d /new/sys/kernel/debug
mkdir -p /new/vm; mount -t 9p -o {_9P} hostshare /new/vm
exec switch_root /new /bin/sh /vm/run.sh
"""

# Boots far enough to run a program, and ends: what tells whether KVM works here.
_TRIAL = "#!/bin/busybox sh\n/bin/busybox poweroff -f\n"


def archive(kernel: Kernel, *, trial: bool = False) -> bytes:
    """The initrd, in the format `newc` of cpio."""
    files = {"init": (0o755, (_TRIAL if trial else _INIT).encode())}
    files |= {path.lstrip("/"): (0o755, Path(path).read_bytes()) for path in _busybox()}
    if not trial:
        modules = [(Path(path).name.partition(".ko")[0] + ".ko", path) for path in _order(kernel)]
        files |= {f"m/{name}": (0o644, _unpacked(kernel.modules / path)) for name, path in modules}
        files["modules"] = (0o644, " ".join(name for name, _ in modules).encode())
    return cpio(files)


def _busybox() -> list[str]:
    """Busybox as /bin/busybox, and the libraries of one that is linked dynamically."""
    program = shutil.which("busybox") or "/bin/busybox"
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return ["/bin/busybox", *re.findall(r"(/\S+) \(0x", shown)]


def _order(kernel: Kernel) -> list[str]:
    """The files of the modules, each after those that it needs."""
    needs = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[Path(path).name.partition(".ko")[0].replace("-", "_")] = (path, others.split())
    order: dict[str, None] = {}
    for name in _MODULES:
        if name in needs:  # else it is built in
            path, others = needs[name]
            order |= dict.fromkeys([*reversed(others), path])
    return list(order)


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    return gzip.decompress(data) if path.suffix == ".gz" else data


def cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """An archive of these files (name -> mode, content) and the folders above them."""
    above = {str(folder) for name in files for folder in Path(name).parents} - {"."}
    entries = [(name, 0o40755, b"") for name in sorted(above)]
    entries += [(name, 0o100000 | mode, data) for name, (mode, data) in files.items()]
    out = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        out += ("070701" + "".join(f"{field:08x}" for field in fields)).encode() + path
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)
