"""The run state of a lab, below /run/netlab/<lab>/.

``documents`` holds the texts that were applied, as they were read, so that ``diff`` can name their lines and ``down``
needs no spec file; ``faults`` the open faults, where there are any; ``assignments`` what a changed spec must not move (numbers, addresses) and the names of all
namespaces; ``events.jsonl`` what was done when.  Losing all of it must not make a lab irremovable: the mark on each
namespace's lo says whose it is.

The documents hold Secrets, and a fault may be secret, so the files are root's alone (0600).  They carry a version, of all the files: a netlab reads
its own and the one before; ``down`` needs none of them.

Limits: few files, since a new inode can cost half a millisecond.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab import plain
from netlab.errors import BadInput, StateError
from netlab.faults.injected import Injected
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.runtime.state.session import SESSION
from netlab.runtime.state.sudo import behind_sudo
from netlab.values import dataclass

if TYPE_CHECKING:
    from netlab.plan.share import Share

RUN = Path("/run/netlab")
_VERSION = 2
_FILES = ("documents", "faults", "assignments", "statuses", "ages")
_READ = (1, _VERSION)


@dataclass(frozen=True, slots=True)
class Applied:
    """The documents of a running lab.

    ``source`` is the path that it was brought up from, ``name`` what ``--name`` said ("" for the spec's own name),
    ``spec`` the texts of its files, ``extra`` those that ``apply`` added, each a ``spec.Text``; ``deleted`` the objects
    that ``delete`` took away, each ``group/kind/namespace/name``; ``labels`` what ``label`` changed, ``links`` what ``link`` did (``model.Changes``).
    ``respond``: whose commands do not run, whatever the Lab says (``model.build``); ``hooks``: Helm hooks count as any
    other object.  ``faults`` are the open ones, in the order in which they were made; they have a file of their own.
    ``conflist``: the absolute path of the list of CNI plugins that the Lab names, and its text.
    ``plane``: the absolute path of a data plane of the user's, and what it made (``model.recordedplane``).
    """

    source: str
    name: str = ""
    spec: tuple[tuple[str, ...], ...] = ()
    extra: tuple[tuple[str, ...], ...] = ()
    deleted: tuple[str, ...] = ()
    since: float = 0.0
    owner: int = 0
    labels: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    respond: str = ""
    hooks: bool = False
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    faults: tuple[Injected, ...] = ()
    conflist: tuple[str, ...] = ()
    plane: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for texts that are none: state may have been written by hand."""
        if any(len(text) not in (2, 3) for text in (*self.spec, *self.extra)):
            raise ValueError("a text is a file's name, its content and its namespace")

    @property
    def changes(self) -> int:
        """The number of objects that ``apply``, ``delete``, ``label`` and ``link`` changed."""
        links = {key.rpartition(" ")[0] for key in self.links}
        return len(self.extra) + len(self.deleted) + len(self.labels) + len(links)

    def to_json(self) -> dict[str, Any]:
        """As plain data, without the faults."""
        data = plain.dump(self)
        del data["faults"]
        return {"version": _VERSION, **data}


@dataclass(frozen=True, slots=True)
class Assignments:
    """What must not move, and counts for ``ls``; ``memory`` is ``model.Memory`` as plain data.

    ``generations``: what ``kernel.linux`` remembers of each namespace's rules (see ``kernel.nftables.drift``).
    """

    memory: Mapping[str, Any] = field(default_factory=dict)
    netns: tuple[str, ...] = ()
    nodes: int = 0
    pods: int = 0
    faults: int = 0
    impaired: int = 0
    generations: Mapping[str, tuple[int, str]] = field(default_factory=dict)


#: Which documents a lab has: each change replaces their file (inode, time of the last change in nanoseconds).
Version = tuple[int, int]


class ChangedMeanwhile(StateError):
    """Another command has changed the lab since the caller read it."""


class NotYours(StateError):
    """The lab is another user's."""


class RunDir:
    """One lab's folder."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.path = RUN / lab

    def exists(self) -> bool:
        """Whether the lab left any run state."""
        return self.path.is_dir()

    def applied(self) -> Applied | None:
        """The documents of the running lab; None where there are none.

        Raises StateError where another netlab wrote them or they cannot be understood.
        """
        return self._documents("documents", "faults")

    def version(self) -> Version | None:
        """The version of the running lab's documents; None where there are none."""
        return self._version("documents")

    def statuses_version(self) -> Version | None:
        """The version of the statuses that the running lab follows; None where there are none yet."""
        return self._version("statuses")

    def _version(self, name: str) -> Version | None:
        try:
            status = os.stat(self.path / name)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def pending(self) -> Applied | None:
        """The documents that an ``up`` was working towards when it ended early; None where none did."""
        return self._documents("documents.next", "faults.next")

    def _documents(self, name: str, faults: str) -> Applied | None:
        data = self._load(name)
        if data is None:
            return None
        if data.get("version") not in _READ:
            raise StateError(
                f"lab {self.lab} runs from another version of netlab: its run state is version {data.get('version')}, "
                f"and this netlab reads versions {' and '.join(map(str, _READ))}",
                hint=f"netlab down {self.lab} removes it, then netlab up builds it again",
            )
        try:
            injected = (self._load(faults) or self._load("faults") or {}).get("faults", [])
            applied = plain.load(Applied, {**data, "faults": injected})
            time.gmtime(applied.since)
        except (ValueError, OverflowError, OSError) as error:
            raise StateError(
                f"{self.path}/{name} cannot be understood: {error}",
                hint=f"netlab down {self.lab} removes the lab all the same",
            ) from error
        return applied

    def owner(self) -> int | None:
        """The user id of the lab's owner by its documents, of any version; None if unknown."""
        owners = [data.get("owner") for name in ("documents", "documents.next") if (data := self._load(name))]
        return next((number for number in owners if isinstance(number, int)), None)

    def require_owner(self, hint: str = "") -> None:
        """Raise NotYours where the lab is another user's; root, without sudo, may do everything."""
        me, owner = caller(), self.owner()
        if owner is not None and owner != me and me != 0:
            raise NotYours(f"lab {self.lab} is user {owner}'s, not yours (you are {me})", hint=hint)

    def begin(self, applied: Applied, assignments: Assignments) -> None:
        """Record what is going to be applied, before anything is: what a killed ``up`` made stays attributable."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        if applied.owner and os.geteuid() == 0:
            os.chown(self.path, -1, applied.owner)  # it permits nothing, and ``visible`` reads it
        if applied.faults or any((self.path / name).exists() for name in ("faults", "faults.next")):
            self._save("faults.next", {"faults": plain.dump(applied.faults)})
        self._save("documents.next", applied.to_json())
        before = self.assignments()
        netns = tuple(dict.fromkeys((*before.netns, *assignments.netns)))
        self.keep(replace(assignments, netns=netns, generations=before.generations))

    def commit(
        self,
        assignments: Assignments,
        statuses: Mapping[str, tuple[int, ...]] | None = None,
        ages: Mapping[str, Any] | None = None,
    ) -> None:
        """Make what was begun the run state, with these statuses of its Pods and ages; the rules' generations stay."""
        if ages is not None and ages != self.ages():  # before the documents: who reads those reads these as well
            self._save("ages", ages)
        if (statuses or {}) != self.statuses():
            self._save("statuses", dict(statuses or {}))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path / "statuses.next")
        self.keep(replace(assignments, generations=self.assignments().generations))
        with contextlib.suppress(FileNotFoundError):  # no disk is too full for what follows
            os.replace(self.path / "faults.next", self.path / "faults")
        os.replace(self.path / "documents.next", self.path / "documents")

    def hold(self) -> None:
        """Keep the files as they are, for ``restore``: by links, which no full disk refuses."""
        self.release()
        for name in _FILES:
            with contextlib.suppress(FileNotFoundError):
                os.link(self.path / name, self._held(name))

    def restore(self) -> None:
        """Put the files back as they were at ``hold``."""
        for name in _FILES:
            try:
                os.replace(self._held(name), self.path / name)
            except FileNotFoundError:
                (self.path / name).unlink(missing_ok=True)

    def release(self) -> None:
        """The files as they are now count."""
        for name in _FILES:
            self._held(name).unlink(missing_ok=True)

    def _held(self, name: str) -> Path:
        return self.path / f".{name}.held"

    def abandon(self) -> None:
        """Forget what was begun: the kernel is as the files say."""
        for name in _FILES:
            (self.path / f"{name}.next").unlink(missing_ok=True)

    def share(self) -> Share | None:
        """This machine's share of a lab on several machines; None for a lab on one."""
        data = self._load("share")
        if not data:
            return None
        from netlab.plan.share import Share

        try:
            return plain.load(Share, data)
        except ValueError as error:
            hint = f"netlab down {self.lab} removes the lab all the same"
            raise StateError(f"{self.path}/share cannot be understood: {error}", hint=hint) from error

    def spread(self, share: Share) -> None:
        """Record the share; it is the lab's until ``down``.  Raises BadInput where the running lab has another one."""
        if self.share() == share:
            return
        if self.applied() is not None:
            raise BadInput(
                f"lab {self.lab} runs with another share, or with none", hint=f"netlab down {self.lab}, then up"
            )
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._save("share", plain.dump(share))

    def ages(self) -> Mapping[str, Any]:
        """The ages of the lab's objects as plain data (``model.ages``), where they are not the lab's own."""
        return self._load("ages") or {}

    def assignments(self) -> Assignments:
        """The assignments that must not change; empty if there are none."""
        try:
            return plain.load(Assignments, self._load("assignments") or {})
        except ValueError:
            return Assignments()

    def excuse(self, moved: Mapping[str, tuple[int, int]]) -> None:
        """Rules' generations that went from one to another by our own doing, and are as they were.

        For those who hold the lab's lock: without this, the next ``diff`` would have to list all rules.
        """
        before = self.assignments()
        generations = dict(before.generations)
        for netns, (was, now) in moved.items():
            if netns in generations and generations[netns][0] == was:
                generations[netns] = (now, generations[netns][1])
        if generations != before.generations:
            self._save("assignments", plain.dump(replace(before, generations=generations)))

    def keep(self, assignments: Assignments) -> None:
        """Write the assignments, where they changed."""
        if assignments != self.assignments():
            self._save("assignments", plain.dump(assignments))

    def statuses(self) -> dict[str, tuple[int, ...]]:
        """(ready, ended), as ``model.status`` has it, by Pod: what the lab follows (see ``runtime.readiness``)."""
        try:
            statuses = {name: tuple(map(int, numbers)) for name, numbers in (self._load("statuses") or {}).items()}
        except (TypeError, ValueError, OverflowError):
            return {}
        return statuses if all(len(numbers) >= 2 for numbers in statuses.values()) else {}

    def begin_statuses(self, statuses: Mapping[str, tuple[int, ...]]) -> bool:
        """Record the statuses that are about to be applied.  Returns whether an earlier change did not end."""
        unsettled = self.unsettled()
        if unsettled or statuses != self.statuses():
            self._save("statuses.next", dict(statuses))
        return unsettled

    def unsettled(self) -> bool:
        """Whether a change of statuses began and did not end."""
        return (self.path / "statuses.next").exists()

    def commit_statuses(self) -> None:
        """Record that the begun change of statuses is applied."""
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.path / "statuses.next", self.path / "statuses")

    def event(self, verb: str, **fields: Any) -> None:
        """Write down that something was done."""
        line = json.dumps({"time": round(time.time(), 3), "verb": verb, **fields}) + "\n"
        with contextlib.suppress(OSError), open(self.path / "events.jsonl", "ab", opener=_private) as stream:
            stream.write(line.encode())

    def remove(self) -> None:
        """Remove the folder and, with the last lab, its parent.  Idempotent."""
        from shutil import rmtree

        rmtree(self.path, ignore_errors=True)

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            data = SESSION.of(_Files).read(self.path / name)
        except PermissionError:  # it is there, and not for this user: not the same as nothing
            raise
        except (OSError, ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) else None

    def _save(self, name: str, data: Mapping[str, Any]) -> None:
        temporary = self.path / f".{name}"
        try:
            with open(temporary, "wb", opener=_private) as stream:
                stream.write(json.dumps(data).encode())
            os.replace(temporary, self.path / name)
        except OSError as error:  # of a write, which names no file
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise OSError(error.errno, error.strerror, str(self.path / name)) from error


class _Files:
    """Files as they were read last: one command asks several times for megabytes.  A file that changed is read anew."""

    def __init__(self) -> None:
        self._contents: dict[Path, tuple[tuple[int, int, int], Any]] = {}

    def read(self, path: Path) -> Any:
        status = os.stat(path)
        version = status.st_ino, status.st_mtime_ns, status.st_size
        kept = self._contents.get(path)
        if kept is None or kept[0] != version:
            kept = self._contents[path] = version, json.loads(path.read_bytes())
        return kept[1]


def _private(path: str, flags: int) -> int:
    """As an opener of ``open``: a file that is its owner's alone."""
    fd = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def running() -> Iterator[RunDir]:
    """The labs that have run state, by name; what else lies there is no lab.  A plain user sees root's and the own."""
    yield from map(RunDir, visible(os.geteuid(), RUN))


def visible(uid: int, folder: Path) -> list[str]:
    """The names of the labs below a folder that a user may know of, sorted: root of all, others of root's and theirs.

    The group of a lab's folder is its owner's number: the files in it are root's alone.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
                and is_dns_label(entry.name, LAB_NAME_MAX)
                and (uid == 0 or entry.stat(follow_symlinks=False).st_gid in (0, uid))
            )
    except OSError:
        return []


def caller() -> int:
    """The user who asks: the one behind sudo, else this process's own."""
    behind = behind_sudo()
    return behind[0] if behind else os.geteuid()
