"""The objects of the API in memory, the numbers of their changes, and the clients that watch them.

Only the event loop touches it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping

from netlab.api.resources import Key
from netlab.cli.kinds.kind import Item
from netlab.tuples import NamedTuple

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
EVENTS = 4_000  # kept for watchers that come back; an older one must list again (410 Expired)


class Event(NamedTuple):
    """A change of an object, with its number."""

    version: int
    type: str
    key: Key
    item: Item


class Objects:
    """All objects by resource; ``version`` is the number of the last change (resourceVersion)."""

    def __init__(self) -> None:
        # A server that starts again must not give out a number twice: clients would see old objects as new ones.
        self.version = int(time.time() * 1000)
        self.oldest = self.version  # what a watcher may have seen last
        self._bare: dict[Key, Item] = {}
        self._by_resource: dict[tuple[str, str], dict[Key, Item]] = defaultdict(dict)
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    def get(self, key: Key) -> Item | None:
        """An object, with its resourceVersion."""
        return self._by_resource[key[:2]].get(key)

    @property
    def watched(self) -> bool:
        """Whether a client watches any."""
        return bool(self._watchers)

    def of(self, group: str, plural: str) -> Mapping[Key, Item]:
        """All objects of a resource."""
        return self._by_resource[group, plural]

    def replace(self, items: Mapping[Key, Item]) -> None:
        """Take these objects for all that there are; each that differs is an event.  The items must not change later."""
        for key in [key for key in self._bare if key not in items]:
            self._emit(DELETED, key, self._bare.pop(key))
        for key, item in items.items():
            before = self._bare.get(key)
            if before is None:
                self._emit(ADDED, key, item)
            elif before != item:
                # An object of the same name and another uid is another object.
                if before["metadata"].get("uid") != item["metadata"].get("uid"):
                    self._emit(DELETED, key, before)
                    self._emit(ADDED, key, item)
                else:
                    self._emit(MODIFIED, key, item)
            else:
                continue  # what is served shares its parts with what is compared
            self._bare[key] = item

    def _emit(self, event: str, key: Key, item: Item) -> None:
        self.version += 1
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
        if event == DELETED:
            self._by_resource[key[:2]].pop(key, None)
        else:
            self._by_resource[key[:2]][key] = item
        if len(self._events) == EVENTS:
            self.oldest = self._events[0].version
        made = Event(self.version, event, key, item)
        self._events.append(made)
        for watcher in [each for each in self._watchers if each.qsize() >= EVENTS]:
            self._watchers.discard(watcher)  # its client does not read: it must list anew
            watcher.put_nowait(None)
        for watcher in self._watchers:
            watcher.put_nowait(made)

    def since(self, version: int) -> Iterator[Event]:
        """The events after a version."""
        return (event for event in list(self._events) if event.version > version)

    def subscribe(self) -> asyncio.Queue[Event | None]:
        """A queue that gets each event from now on, and None when the lab goes."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._watchers.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event | None]) -> None:
        """The watcher has gone."""
        self._watchers.discard(queue)

    def end(self) -> None:
        """The lab is gone: all objects are deleted, then the watches end."""
        self.replace({})
        for watcher in self._watchers:
            watcher.put_nowait(None)
