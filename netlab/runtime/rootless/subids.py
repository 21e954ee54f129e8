"""More users in a world than its root: the ranges that /etc/subuid and /etc/subgid give, by newuidmap and newgidmap."""

from __future__ import annotations

import os
import pwd

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def map_users(pid: int) -> bool:
    """Map this user as root and its ranges as other users, in a child's user namespace; whether that was done.

    Groups first: without a range of groups the child maps both itself.
    """
    uid, gid = os.geteuid(), os.getegid()
    names = (str(uid), _name(uid))
    ranges = [of_user(_lines(f"/etc/{file}"), names) for file in ("subgid", "subuid")]
    if (
        not all(ranges)
        or not (programs := [_path_of(name) for name in ("newgidmap", "newuidmap")])
        or not all(programs)
    ):
        return False
    for program, own, extra in zip(programs, (gid, uid), ranges, strict=True):
        words = [program, str(pid), *arguments(own, extra)]
        null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        status = os.waitpid(os.posix_spawn(program, words, {}, file_actions=null), 0)[1]
        if status:
            return False
    return True


def of_user(lines: list[str], names: tuple[str, ...]) -> list[tuple[int, int]]:
    """The (start, count) of the lines NAME:START:COUNT that are a user's."""
    split = [line.split(":") for line in lines]
    return [
        (int(words[1]), int(words[2]))
        for words in split
        if len(words) == 3 and words[0] in names and words[1].isdigit() and words[2].isdigit() and int(words[2])
    ]


def arguments(own: int, ranges: list[tuple[int, int]]) -> list[str]:
    """What newuidmap takes: root is the user, 1 and up are of the ranges."""
    words, inside = ["0", str(own), "1"], 1
    for start, count in ranges:
        words += [str(inside), str(start), str(count)]
        inside += count
    return words


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _path_of(program: str) -> str:
    return next((path for folder in _PATH.split(":") if os.access(path := f"{folder}/{program}", os.X_OK)), "")
