"""When a container that ended is started again: the kubelet's times."""

from __future__ import annotations

from netlab.runtime.agent.podstate import Container


def container() -> Container:
    return Container({"name": "c", "role": "main", "order": 0})


def test_it_doubles_up_to_five_minutes() -> None:
    one, now, waits = container(), 1000.0, []
    for _ in range(9):
        waits.append(one.next_backoff(now))
        now += waits[-1] + 1
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_run_of_ten_minutes_is_forgiven() -> None:
    one = container()
    assert [one.next_backoff(now) for now in (1000.0, 1001.0, 1012.0)] == [0, 10, 20]
    assert one.next_backoff(1012.0 + 20 + 601) == 0
