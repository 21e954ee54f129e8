"""The error tree: every failure that a user can meet, with the exit status that it ends in.

Exit status: 0 done, 1 the answer is no, 2 bad input or usage, 3 this host cannot, 4 the kernel refused or the state
is not what it should be.  Nothing here prints: ``cli`` is the only place that does.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from enum import IntEnum

from netlab.tuples import NamedTuple


class Exit(IntEnum):
    """Exit statuses of every verb (``exec`` passes on the status of its command)."""

    OK = 0
    NO = 1
    BAD_INPUT = 2
    HOST_CANNOT = 3
    REFUSED = 4


class Mark(NamedTuple):
    """A place in a file; line and column count from 1, as editors do."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """One thing that is wrong with the input, and where.

    ``path`` is the dotted path inside the document (``spec.nodes[1].name``), empty where the file itself is at fault.
    """

    mark: Mark | None
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.mark) if self.mark else "", self.path, self.message) if part)


class NetlabError(Exception):
    """Base of all of netlab's errors; ``hint`` is a line that can be pasted or followed as it stands."""

    status = Exit.REFUSED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(NetlabError):
    """The files or the command line are wrong; carries every problem found, in the order of the files."""

    status = Exit.BAD_INPUT

    def __init__(self, problems: Iterable[Problem] | str, *, hint: str = "") -> None:
        self.problems: tuple[Problem, ...] = (
            (Problem(None, "", problems),) if isinstance(problems, str) else tuple(problems)
        )
        super().__init__("\n".join(map(str, self.problems)), hint=hint)


class WithoutRoot(BadInput):
    """What is meant is in the world without root; ``cli`` adds the same command line without sudo."""


class HostCannot(NetlabError):
    """This host lacks a privilege, a program or a kernel feature; ``hint`` says how to get it."""

    status = Exit.HOST_CANNOT


class HostLacks(HostCannot):
    """This host lacks what `netlab doctor` has a row for; ``cli`` names that verb."""


class NeedsRoot(HostCannot):
    """The user may not do this; ``cli`` adds the line to type, which is the caller's own behind sudo."""


#: What a host may run out of: processes and threads, open files, memory, disk; and a disk that cannot be written.
EXHAUSTED = frozenset(
    (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
)


_WRITING = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))


def exhausted(error: OSError) -> HostCannot:
    """The sentence for an errno of ``EXHAUSTED``."""
    hints = {
        errno.EAGAIN: "the limit is pids.max of the control group (docker run --pids-limit), or ulimit -u",
        errno.EMFILE: "as root, before netlab: ulimit -n 20000",
        errno.ENFILE: "sysctl fs.file-max",
        errno.ENOMEM: "free memory, or take a smaller lab",
        errno.EFBIG: "the limit is ulimit -f",
        errno.EROFS: "netlab writes to /run and /etc/netns: both must be writable",
    }
    where = (
        f"{error.filename}: "
        if error.filename
        else "what netlab writes: "
        if error.errno in _WRITING
        else "this host: "
    )
    return HostCannot(f"{where}{error.strerror}", hint=hints.get(error.errno or 0, "df -h /run /etc /tmp"))


class StateError(NetlabError):
    """The state of the host is not what it should be: a foreign name in the way, a dead agent, a held lock."""


class KernelRefused(NetlabError):
    """The kernel refused one operation.

    ``command`` is the operation as a shell line, ``message`` the kernel's own sentence (extended ack, else the errno's),
    ``why`` what asked for the object and ``mark`` the line of the spec behind it.
    """

    def __init__(self, command: str, message: str, why: str = "", mark: Mark | None = None) -> None:
        self.command, self.message, self.why, self.mark = command, message, why, mark
        lines = [f"the kernel refused: {command}", f"  it said: {message}"]
        if why:
            lines.append(f"  wanted by: {why}" + (f" ({mark})" if mark else ""))
        super().__init__("\n".join(lines))
