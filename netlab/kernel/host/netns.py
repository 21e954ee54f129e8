"""Network namespaces: the only module that calls setns, unshare, mount and umount for them.

A thread that enters a namespace stays there for everything that it does afterwards (the CNI project's warning). So one
worker thread does this work, and the thread of the caller never moves.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar, cast

from netlab.kernel.host import threads
from netlab.libc import check, libc

T = TypeVar("T")

RUN_NETNS = Path("/run/netns")
CLONE_NEWNET = 0x40000000
_AT_FDCWD, _AT_SYMLINK_FOLLOW = -100, 0x400
_MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH = 4096, 0x4000, 1 << 20, 2


def setns(fd: int) -> None:
    """Move the calling thread into a network namespace."""
    check(libc.setns(fd, CLONE_NEWNET), "setns")


def unshare_net() -> None:
    """Move the calling thread into a new network namespace."""
    check(libc.unshare(CLONE_NEWNET), "unshare")


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    kind_bytes = kind.encode() if kind else None
    check(libc.mount(source.encode(), target.encode(), kind_bytes, flags, None), "mount", target)


class Worker:
    """One thread that may be in any namespace; ``run`` hands it a function and waits for the result.

    (``concurrent.futures`` would do the same, and import ``logging``: 10 ms of every command.)
    """

    def __init__(self) -> None:
        self._todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @staticmethod
    def _work(queue: SimpleQueue[Callable[[], None] | None]) -> None:
        while (todo := queue.get()) is not None:
            todo()

    def run(self, function: Callable[[], T]) -> T:
        """Call the function in the worker's thread; its namespace is what it was before, whatever happens."""
        if self._thread is None:
            # Ctrl-C can come when a thread has started and nobody knows it yet: it ends, and takes no more calls.
            self._todo.put(None)
            self._todo = SimpleQueue()
            self._thread = threads.start(partial(self._work, self._todo), "netlab-netns")
        result: SimpleQueue[tuple[bool, T | BaseException]] = SimpleQueue()

        def call() -> None:
            try:
                result.put((True, self._call(function)))
            except BaseException as error:  # noqa: BLE001 - it is raised again where it was asked for
                result.put((False, error))

        self._todo.put(call)
        good, value = result.get()
        if not good:
            assert isinstance(value, BaseException)
            raise value
        return cast("T", value)

    @staticmethod
    def _call(function: Callable[[], T]) -> T:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return function()
        finally:
            # An unprivileged thread is where it was, and may not even enter that.
            if os.stat("/proc/thread-self/ns/net").st_ino != os.fstat(home).st_ino:
                setns(home)
            os.close(home)

    def close(self) -> None:
        """End the thread."""
        self._todo.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def share_run_netns() -> None:
    """Make /run/netns a shared mount of its own, as ``ip netns add`` does, so that names reach other mount namespaces.

    That mount stays when the last lab goes: iproute2 leaves it too.
    """
    RUN_NETNS.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = str(RUN_NETNS)
    try:
        _mount("", path, "none", _MS_SHARED | _MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount(path, path, "none", _MS_BIND | _MS_REC)
        _mount("", path, "none", _MS_SHARED | _MS_REC)


class Namer:
    """Gives names in /run/netns to namespaces.

    Names are hard links to one empty file: the mount hides the name, not the inode, and a new inode can cost 0.4 ms
    where /run is on a disk (measured; a link 17 us).
    """

    def __init__(self) -> None:
        self._blank = -1

    def name_current(self, name: str) -> int:
        """Name the calling thread's network namespace; returns a descriptor of it.

        Raises FileExistsError where the name is taken.  The mark on its lo must be there before: every name that can
        be seen must say whose it is.
        """
        path = f"{RUN_NETNS}/{name}"
        try:
            if self._blank < 0:
                raise FileNotFoundError
            source = f"/proc/self/fd/{self._blank}"
            # os.link cannot: it only calls linkat, which follows links, where it is told not to follow them.
            check(libc.linkat(_AT_FDCWD, source.encode(), _AT_FDCWD, path.encode(), _AT_SYMLINK_FOLLOW), "link", path)
        except FileNotFoundError:  # the first, or the file behind went with its last name
            self.close()
            self._blank = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            _mount("/proc/thread-self/ns/net", path, "none", _MS_BIND)
        except OSError:
            os.unlink(path)
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file behind the names."""
        if self._blank >= 0:
            os.close(self._blank)
            self._blank = -1


def open_named(name: str) -> int:
    """A descriptor of a named namespace.  Raises FileNotFoundError, or OSError(EINVAL) where it is a plain file."""
    fd = os.open(RUN_NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
    if not is_netns(fd):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a network namespace", name)
    return fd


def is_named(fd: int, name: str) -> bool:
    """Whether the name is that of the namespace behind the descriptor."""
    try:
        there = os.stat(RUN_NETNS / name)
    except OSError:
        return False
    held = os.fstat(fd)
    return (there.st_ino, there.st_dev) == (held.st_ino, held.st_dev)


def is_netns(fd: int) -> bool:
    """Whether a descriptor is of a namespace (nsfs), and not of the plain file that a killed ``up`` left."""
    return os.fstat(fd).st_dev == _nsfs_device()


def _nsfs_device() -> int:
    return os.stat("/proc/self/ns/net").st_dev


def is_blank(name: str) -> bool:
    """Whether a name is an empty plain file, with no namespace mounted on it."""
    try:
        status = os.stat(RUN_NETNS / name)
    except OSError:
        return False
    return status.st_size == 0 and status.st_dev != _nsfs_device()


def names() -> list[str]:
    """The names in /run/netns."""
    try:
        return sorted(os.listdir(RUN_NETNS))
    except FileNotFoundError:
        return []


def remove_name(name: str) -> None:
    """Remove a name, mounted or not; the kernel frees the namespace when its last user is gone.  Idempotent."""
    path = str(RUN_NETNS / name)
    while True:  # a name can be mounted over twice; EINVAL ends it
        if libc.umount2(path.encode(), _MNT_DETACH) < 0:
            code = ctypes.get_errno()
            if code in (errno.EINVAL, errno.ENOENT):
                break
            raise OSError(code, os.strerror(code), path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


@contextlib.contextmanager
def inside(space: str | int) -> Iterator[None]:
    """The calling thread inside a namespace (its name or a descriptor), and back where it was afterwards.

    Only for worker threads.  Raises OSError where there is no such namespace.
    """
    fd = open_named(space) if isinstance(space, str) else space
    try:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(fd)
            yield
        finally:
            setns(home)
            os.close(home)
    finally:
        if fd != space:
            os.close(fd)


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    """Move the calling thread into a new namespace without a name, and back afterwards."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare_net()
        yield
    finally:
        setns(home)
        os.close(home)


def aside(function: Callable[[], T]) -> T:
    """Call the function in a worker of its own, where it may enter namespaces."""
    worker = Worker()
    try:
        return worker.run(function)
    finally:
        worker.close()


def call(name: str, function: Callable[[], T]) -> T:
    """Call the function inside a namespace.  Raises OSError where it is gone."""

    def there() -> T:
        with inside(name):
            return function()

    return aside(there)


def each(names: Iterable[str], function: Callable[[str], T]) -> dict[str, T]:
    """Call the function inside each namespace; those that are gone, or that nothing can be done in, are left out."""

    def everywhere() -> dict[str, T]:
        results = {}
        for name in names:
            with contextlib.suppress(OSError):
                fd = open_named(name)
                try:
                    setns(fd)
                    results[name] = function(name)
                finally:
                    os.close(fd)
        return results

    return aside(everywhere)
