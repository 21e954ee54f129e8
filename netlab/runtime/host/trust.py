"""Which labs may name programs of their own: a CNI plugin, an agent, a data plane in Python.

netlab runs such a program as the user that runs netlab, often root.  So the program and the lab's file must be root's or
the lab's owner's, nobody else may be able to replace them, and the user must have named that file or its folder on the
command line.  Text from standard input, a test of manifests, and requests of the API name no programs.

The checks read the host's files and change nothing.  ``up`` and ``apply`` call them before anything is built.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from functools import lru_cache

from netlab.errors import BadInput, Mark, Problem
from netlab.runtime.state.rundir import Applied
from netlab.runtime.state.sudo import maps_all_users
from netlab.tuples import NamedTuple

# Root's files look like these users' in a user namespace that does not map root: /proc/sys/kernel/overflowuid.
_OVERFLOW = 65534
# Folders of the system, which no other user than root changes.
_SYSTEM = ("/usr/", "/opt/", "/etc/", "/bin/", "/sbin/", "/lib/")


class Program(NamedTuple):
    """A file or folder that a Lab names, and the place of the name (dataplane.cni of the spec), in ``mark``."""

    file: str
    path: str
    mark: Mark | None


def require(applied: Applied, programs: Iterable[Program], owner: int) -> None:
    """Raise BadInput (exit status 2) where this lab may not name these programs.

    ``applied`` has the file or folder of the command line as its ``source``; ``owner`` is the lab's owner, a user id.
    """
    problems = []
    checked: dict[str, str] = {}
    for program in programs:
        file = program.mark.file if program.mark else ""
        reason = _unnamed(applied, file)
        if not reason:
            for each in (file, program.file):
                reason = reason or checked.setdefault(each, unsafe(each, owner))
        if reason:
            problems.append(Problem(program.mark, program.path, reason))
    if problems:
        raise BadInput(
            problems,
            hint="a lab's own file or folder may name them, where it and they are yours or root's: netlab up LAB",
        )


def refuse(programs: Iterable[Program], where: str) -> None:
    """Raise BadInput (exit status 2) for a lab that names programs, in a place that runs none (``netlab test``)."""
    problems = [Problem(each.mark, each.path, f"{where} runs no programs that a Lab names") for each in programs]
    if problems:
        raise BadInput(problems, hint="netlab up LAB")


def _unnamed(applied: Applied, file: str) -> str:
    """Why the Lab's file was not named on the command line; "" where it was, itself or as a file of a folder."""
    if not file or file.startswith("<") or not os.path.isfile(file):
        return f"a Lab from {'standard input' if file.startswith('<') else file or 'no file'} may not name programs"
    path, source = os.path.realpath(file), os.path.realpath(applied.source)
    if source not in (path, os.path.dirname(path)):
        return f"the lab was brought up from {applied.source}, and only a Lab in there may name programs"
    return ""


def unsafe(path: str, owner: int) -> str:
    """Why another user than root and ``owner`` may change what ``path`` leads to; "" where none may.

    Of a folder the files in it and in its folder ``bin`` count too, and of each of them all folders above.  In a folder
    with the sticky bit (/tmp) nobody replaces what is another user's.
    """
    seen: set[str] = set()
    try:
        for place in _contents(os.path.abspath(path)):
            for each in (place, *_above(place)):
                if each not in seen:
                    seen.add(each)
                    if reason := _unsafe(each, owner, above=each is not place):
                        return reason
    except OSError as error:
        return f"{error.filename or path}: {error.strerror}"
    return ""


def _contents(path: str) -> Iterator[str]:
    """The path as it is named, for the links in it, and the files that it leads to."""
    yield path
    yield os.path.realpath(path, strict=True)
    for folder in (path, os.path.join(path, "bin")):
        if os.path.isdir(folder):
            for name in ("", *sorted(os.listdir(folder))):
                yield os.path.realpath(os.path.join(folder, name), strict=True)


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path


def _unsafe(place: str, owner: int, *, above: bool) -> str:
    status = os.lstat(place)
    whose = status.st_uid
    if whose not in (0, owner) and not (whose == _OVERFLOW and _is_roots(place, above=above)):
        return f"{place} belongs to user {whose}, neither to root nor to the lab's owner, user {owner}"
    writable = status.st_mode & (stat.S_IWOTH if _is_own_group(status.st_gid, owner) else stat.S_IWGRP | stat.S_IWOTH)
    if stat.S_ISLNK(status.st_mode) or (above and status.st_mode & stat.S_ISVTX):
        return ""
    if writable:
        others = "every user" if status.st_mode & stat.S_IWOTH else f"group {status.st_gid}"
        return f"{place} can be changed by {others}: chmod go-w {place}"
    return ""


@lru_cache
def _is_own_group(gid: int, owner: int) -> bool:
    """Whether a group has no member but root and the owner, as the group of the owner's own name."""
    members = {entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == gid}
    try:
        names = set(grp.getgrgid(gid).gr_mem)
        members |= {pwd.getpwnam(name).pw_uid for name in names}
    except KeyError:  # a group or member without a name: who knows
        return False
    return members <= {0, owner}


def _is_roots(place: str, *, above: bool) -> bool:
    """Whether a file of an unmapped user is root's: a folder above, or the system's, in a world without root."""
    return not maps_all_users() and (above or f"{place}/".startswith(_SYSTEM))
