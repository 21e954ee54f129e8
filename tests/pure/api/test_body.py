"""Bodies of requests: what is JSON, YAML or protobuf is read, and all else is refused in a bounded time."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from netlab.api.body import decoded
from netlab.api.objects import EVENTS, Objects
from netlab.api.resources import Key
from netlab.api.status import Refused

LEVELS = "abcdefghij"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{each}: &{each} [{', '.join([f'*{before}'] * 9)}]\n" for before, each in itertools.pairwise(LEVELS)
)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"", None),
        (b'{"a": [1, "\xc3\xa4"]}', {"a": [1, "\u00e4"]}),
        (b"a: [1, b]\n", {"a": [1, "b"]}),
        (b"[" * 128 + b"]" * 128, None),
    ],
)
def test_bodies_that_clients_send(raw: bytes, value: object) -> None:
    assert decoded(raw) == value or value is None


@pytest.mark.parametrize(
    "raw",
    [
        BOMB.encode(),
        b"a: &a [*a]",
        b"[" * 129 + b"]" * 129,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"- " * 100_000,
        b"? " * 50_000,
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"a: 2026-01-01",
        b"a: b: c",
        b"k8s\x00\n\xff\xff\xff\xff\x7f",
        bytes(100),
    ],
    ids=range(16),
)
def test_bodies_that_are_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decoded(raw)
    assert refused.value.code == 400 and len(str(refused.value.status())) < 1000


def test_a_watcher_that_does_not_read_is_left_behind() -> None:
    async def events() -> list[object]:
        objects = Objects()
        queue = objects.subscribe()
        key = Key("", "configmaps", "default", "a")
        for number in range(EVENTS + 100):
            objects.replace({key: {"metadata": {"name": "a", "uid": "1"}, "data": number}})
        assert queue.qsize() == EVENTS + 1
        return [queue.get_nowait() for _ in range(queue.qsize())]

    got = asyncio.run(events())
    assert got[-1] is None and None not in got[:-1]
