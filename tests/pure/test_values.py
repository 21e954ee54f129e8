"""``netlab.values.dataclass`` is ``dataclasses.dataclass``, and ``netlab.tuples.NamedTuple`` that of typing, made faster."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
from dataclasses import field
from typing import Any

import pytest

import netlab
from netlab.tuples import NamedTuple
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Base:
    name: str
    index: int = field(default=0, compare=False)
    cache: str | None = field(default=None, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Route(Base):
    via: str = ""
    labels: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Other(Base):
    via: str = ""
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Open:
    name: str


def test_equality_and_hash_are_those_of_the_compared_fields() -> None:
    assert Route("a", 1, "b") == Route("a", 2, "b")
    assert hash(Route("a", 1, "b")) == hash(Route("a", 2, "b"))
    assert Route("a", 1, "b") != Route("a", 1, "c")
    assert Route("a") != Other("a")
    assert len({Route("a", 1), Route("a", 2), Route("b")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Open("a"))


def test_a_value_says_its_fields_and_can_be_copied() -> None:
    route = Route("a", via="b")
    assert repr(route) == "Route(name='a', index=0, via='b', labels=())"
    assert dataclasses.replace(route, via="c") == Route("a", via="c")
    assert copy.deepcopy(route) == route == pickle.loads(pickle.dumps(route))
    assert [each.name for each in dataclasses.fields(route)] == ["name", "index", "cache", "via", "labels"]


@dataclass(kw_only=True)
class Bag:
    items: list[str] = field(default_factory=list)
    size: int = field(init=False)
    name: str

    def __post_init__(self) -> None:
        self.size = len(self.items)


def test_the_first_value_is_made_as_all_others() -> None:
    bags = [Bag(name="a", items=["b"]), Bag(name="a")]
    bags[1].items.append("c")
    assert [(each.items, each.size) for each in bags] == [(["b"], 1), (["c"], 0)]
    assert Bag(name="a").items == []
    assert list(inspect.signature(Bag).parameters) == ["items", "name"]


class Pair(NamedTuple):
    """Two."""

    left: int
    right: str = ""

    @property
    def both(self) -> str:
        return f"{self.left}{self.right}"


def test_a_named_tuple_is_that_of_typing() -> None:
    assert Pair(1) == (1, "") == Pair(left=1)
    assert Pair(1, "b").both == "1b"
    assert Pair(1)._replace(right="c") == pickle.loads(pickle.dumps(Pair(1, "c")))
    assert repr(Pair(1)) == "Pair(left=1, right='')"
    assert (Pair.__doc__, Pair.__module__, Pair._fields) == ("Two.", __name__, ("left", "right"))
    assert Pair.__annotations__ == {"left": "int", "right": "str"}
    with pytest.raises(TypeError):
        Pair(1, middle=2)  # type: ignore[call-arg]


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(TypeError):
        Route("a", port=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Route("a").port = 1  # type: ignore[attr-defined]


def test_no_class_of_netlab_is_made_by_the_slow_decorator() -> None:
    slow: list[type[Any]] = []
    for module in pkgutil.walk_packages(netlab.__path__, "netlab."):
        if module.name.endswith("__main__"):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and kind.__module__ == module.name:  # a class that only inherits has no params
                slow += [kind] if getattr(kind.__dict__.get("__dataclass_params__"), "eq", False) else []
    assert slow == []
