"""A Pod's view of the file system: the host's programs under a layer whose writes vanish with the Pod.

What is where
-------------
``/``, and every real file system mounted below it (/usr, /var, /home ...): an overlay, the host's as the lower layer
and a tmpfs of the sandbox as the upper.  Homes stay readable, since interpreters live there (pyenv, a venv); what a
Pod writes to them is its own.  In a user namespace / cannot be a layer as a whole, but each directory in it can.  Where
the kernel refuses an overlay (nested too deep, FUSE, mounts locked below), a read-only bind.  Never shown: /run, /tmp,
removable media, and the stores of container engines.

- /proc of the Pod's PID namespace, read-only but for /proc/sys/net, which is the Pod's.
- /sys of the Pod's network namespace, read-only but for /sys/devices/virtual/net, its own devices (bridge settings).
- /dev with the harmless devices, pts of its own, shm, mqueue and net/tun.  /tmp: empty.
- /run: empty but for /run/busybox, a link for each applet of the host's busybox, last on PATH (``runtime.host.programs``);
  in a user namespace of a single user also /run/netlab-bin, first on PATH.
- /etc/hosts, /etc/resolv.conf, /etc/hostname: files of the sandbox, bound over; they cannot be removed or replaced,
  only written, and the agent keeps them in step with /etc/netns/NAME.

The old root is detached, so the view keeps neither /run/netns nor another lab's mounts alive.  An overlay keeps the
host's file system busy in one way: after ``umount`` of a disk on the host its device stays in use until the Pod goes.

Unix sockets and pipes of the host's file systems seen through an overlay are not connected to the host's processes:
the overlay has inodes of its own.  Those under /run are not there at all.
"""

from __future__ import annotations

import os
import stat

from netlab.runtime.agent import linux
from netlab.runtime.agent.linux import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
    umount,
)
from netlab.runtime.client.sandbox import APPLETS, WRAPPERS
from netlab.runtime.host.programs import busybox_links, write_wrappers

# Without a size each of these could take half of the machine's memory, so that a `dd` in a Pod harms the machine.
_LAYER = "size=512m"
_SHM = "size=64m"  # as containerd and Docker give a container
_HIDDEN: tuple[str, ...] = ("/proc", "/sys", "/dev", "/run", "/tmp", "/media", "/etc/netns")
_HIDDEN += ("/var/run", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet")
_VIRTUAL = (
    "proc sysfs cgroup cgroup2 devpts devtmpfs mqueue tracefs debugfs bpf configfs securityfs pstore efivarfs autofs "
    "nsfs fusectl hugetlbfs binfmt_misc rpc_pipefs selinuxfs nfsd"
)
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_MASKED: tuple[str, ...] = (
    "kcore",
    "keys",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "vmcore",
    "kpagecount",
    "kpageflags",
)
_MASKED += ("kpagecgroup", "kmsg", "kallsyms")
ETC = ("hosts", "resolv.conf", "hostname")


def host_mounts(mountinfo: str) -> list[str]:
    """The mount points below / that a Pod shall see, parents first, from the text of /proc/PID/mountinfo."""
    devices: dict[str, int] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        words = left.split(" ")
        where, kind = _unescape(words[4]), right.split(" ")[0]
        devices.pop(where, None)  # a later mount on the same point hides the earlier
        hidden = any(where == prefix or where.startswith(prefix + "/") for prefix in _HIDDEN)
        if where != "/" and not hidden and kind not in _VIRTUAL.split():
            major, minor = map(int, words[2].split(":"))
            devices[where] = os.makedev(major, minor)
    shown = []
    for where, device in sorted(devices.items()):
        try:
            if os.stat(where).st_dev == device:  # else another mount lies over a parent of it
                shown.append(where)
        except OSError:
            continue
    return shown


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


class View:
    """Builds the view in a fresh mount namespace and enters it; ``notes`` lists the deviations."""

    def __init__(self, base: str = "/tmp") -> None:
        self.base, self.root, self.layers = base, base + "/root", 0
        self.notes: list[str] = []
        self.bound: list[str] = []  # shown read-only, with all mounts below
        self.covered: set[str] = set()
        self.refusal: OSError | None = None
        with open("/proc/self/uid_map", encoding="ascii") as table:
            self.rootless = table.read().split() != ["0", "0", "4294967295"]

    def build(self, etc: dict[str, str]) -> list[int]:
        """Change the root to the view; return read-write descriptors of the files in ``ETC``, in order."""
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            mounts = host_mounts(table.read())
        mount("netlab", self.base, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=755,{_LAYER}")
        os.mkdir(self.root)
        if not self._overlay("/", self.root):
            self._root_of_parts()
        for where in mounts:
            if where not in self.covered and not any(where.startswith(parent + "/") for parent in self.bound):
                self._layer(where, self.root + where)
        self._private_directories()
        self._dev()
        self._proc()
        self._sys()
        files = self._etc(etc)
        os.chdir(self.root)
        linux.pivot_root(".", ".")
        umount(".")  # the old root lies over the new one: detach it and all below
        os.chdir("/")
        return files

    def _overlay(self, lower: str, target: str) -> bool:
        """The host's ``lower`` on ``target``, writes to a layer of their own; False where the kernel refuses."""
        if not os.path.isdir(lower) or set(lower) & set(",:\\\n"):
            return False
        upper, work = f"{self.base}/upper{self.layers}", f"{self.base}/work{self.layers}"
        self.layers += 1
        os.mkdir(upper)
        os.mkdir(work)
        there = os.stat(lower)
        os.chmod(upper, stat.S_IMODE(there.st_mode))
        try:
            os.chown(upper, there.st_uid, there.st_gid)
        except OSError:  # in a user namespace: an owner that is not mapped
            pass
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        # a user namespace may not write trusted.* attributes, which is where the overlay keeps its notes
        for more in (",userxattr", "") if self.rootless else ("",):
            try:
                mount("netlab", target, "overlay", MS_NOSUID | MS_NODEV, options + more)
                return True
            except OSError as refusal:
                self.refusal = refusal
        return False

    def _layer(self, lower: str, target: str) -> None:
        """The host's ``lower`` on ``target``: an overlay, else read-only, else not at all; ``notes`` tells."""
        if self._overlay(lower, target):
            return
        try:
            mount(lower, target, flags=MS_BIND | MS_REC)  # a user namespace may not show what other mounts cover
        except OSError as refusal:
            self.notes.append(f"{lower} is not shown: {refusal}")
            return
        self.bound.append(lower)
        try:
            linux.freeze_mounts(target, MS_RDONLY | MS_NOSUID | MS_NODEV)
            self.notes.append(f"{lower} is read-only: {self.refusal or 'not a directory'}")
        except OSError as refusal:
            umount(target)  # rather nothing than something that can be written
            self.notes.append(f"{lower} is not shown: {refusal}")

    def _root_of_parts(self) -> None:
        """A root of one overlay for each directory of /, if / itself cannot be an overlay.

        In a user namespace, mounts below / are locked to it, and an overlay would uncover them.
        """
        self.notes.append(f"/ is put together of its directories: {self.refusal}")
        mount("netlab", self.root, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=755,{_LAYER}")
        with os.scandir("/") as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                target = self.root + entry.path
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), target)
                elif entry.is_dir():
                    os.mkdir(target)
                    self.covered.add(entry.path)
                    if entry.path not in _HIDDEN:
                        self._layer(entry.path, target)

    def _read_only(self, target: str, flags: int = MS_NOSUID | MS_NODEV | MS_NOEXEC) -> None:
        try:
            mount("none", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
        except OSError:  # flags of the host's mount (noatime ...) are locked in a user namespace: only add to them
            linux.freeze_mounts(target, MS_RDONLY | flags)

    def _private_directories(self) -> None:
        for where in ("/var", "/root"):
            if where in self.bound:  # else an overlay, whose writes vanish as well
                self._tmpfs("/var/tmp" if where == "/var" else where, "1777" if where == "/var" else "700")
        for where, mode in (("/tmp", "1777"), ("/run", "755")):
            self._tmpfs(where, mode)
        os.mkdir(self.root + "/run/lock", 0o1777)
        os.mkdir(self.root + APPLETS)
        for name, busybox in busybox_links().items():
            os.symlink(busybox, f"{self.root}{APPLETS}/{name}")
        write_wrappers(self.root + WRAPPERS)

    def _tmpfs(self, where: str, mode: str) -> None:
        target = self.root + where
        if not os.path.isdir(target):
            os.makedirs(target)
        mount("netlab", target, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode},{_LAYER}")

    def _dev(self) -> None:
        dev = self.root + "/dev"
        mount("netlab", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755")
        for name, (major, minor) in _DEVICES.items():
            self._device(f"{dev}/{name}", f"/dev/{name}", major, minor)
        if os.path.exists("/dev/net/tun"):
            os.mkdir(f"{dev}/net")
            self._device(f"{dev}/net/tun", "/dev/net/tun", 10, 200)
        for name in ("pts", "shm", "mqueue"):
            os.mkdir(f"{dev}/{name}")
        try:
            mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")
        except OSError:  # a user namespace without group 5
            mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
        mount("netlab", f"{dev}/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=1777,{_SHM}")
        try:
            mount("mqueue", f"{dev}/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        except OSError:  # a kernel without POSIX message queues
            os.rmdir(f"{dev}/mqueue")
        links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
        for name, target in links.items():
            os.symlink(target, f"{dev}/{name}")

    def _device(self, target: str, source: str, major: int, minor: int) -> None:
        try:
            os.mknod(target, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
            os.chmod(target, 0o666)
            os.close(os.open(target, os.O_PATH if source.endswith(("tty", "tun")) else os.O_RDONLY))
        except OSError:  # a device node made in a user namespace cannot be opened: bind the host's
            if os.path.lexists(target):
                os.unlink(target)
            with open(target, "x", encoding="ascii"):
                pass
            mount(source, target, flags=MS_BIND)
            self._read_only(target, MS_NOSUID | MS_NOEXEC)  # devices are written all the same, but not chmod-ed

    def _proc(self) -> None:
        proc = self.root + "/proc"
        mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        mount(f"{proc}/sys/net", f"{proc}/sys/net", flags=MS_BIND)  # before its parent becomes read-only
        # All of it, not only the files that can be written: an entry's mode belongs to every instance of procfs, so
        # `chmod 0 /proc/meminfo` would be the host's loss.
        self._read_only(proc)
        for name in _MASKED:
            target = f"{proc}/{name}"
            if os.path.exists(target):
                mount(f"{self.root}/dev/null", target, flags=MS_BIND)
                self._read_only(target, MS_NOSUID | MS_NOEXEC)

    def _sys(self) -> None:
        target = self.root + "/sys"
        try:
            mount("sysfs", target, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        except OSError as refusal:  # the network namespace is not our user namespace's
            self.notes.append(f"/sys is empty: {refusal}")
            mount("netlab", target, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
            return
        own = f"{target}/devices/virtual/net"
        if os.path.isdir(own):
            mount(own, own, flags=MS_BIND)
        self._read_only(target)
        if os.path.isdir(f"{target}/firmware"):
            mount("netlab", f"{target}/firmware", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)

    def _etc(self, contents: dict[str, str]) -> list[int]:
        os.mkdir(self.base + "/etc")
        files = []
        for name in ETC:
            source, target = f"{self.base}/etc/{name}", f"{self.root}/etc/{name}"
            fd = os.open(source, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            os.fchmod(fd, 0o644)
            os.write(fd, contents.get(name, "").encode())
            files.append(fd)
            try:
                if os.path.islink(target):  # systemd-resolved: into /run, which is empty here
                    os.unlink(target)
                if not os.path.exists(target):
                    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            except OSError as refusal:  # /etc is read-only
                self.notes.append(f"/etc/{name} is the host's: {refusal}")
                continue
            mount(source, target, flags=MS_BIND)
        return files
