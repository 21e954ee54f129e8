"""Each kind of object that diff can list has a judge: drift on a packet's path is a finding."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import netlab.objects
from netlab.diagnose.causes.judges import JUDGES
from netlab.diagnose.expected.iprule import Lookup, parse
from netlab.objects import Obj
from netlab.wire.packets import TCP, Packet


def kinds() -> list[type[Obj]]:
    modules = [
        importlib.import_module(f"netlab.objects.{each.name}") for each in pkgutil.iter_modules(netlab.objects.__path__)
    ]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return sorted(
        (kind for kind in classes if issubclass(kind, Obj) and hasattr(kind, "kind")), key=lambda kind: kind.__name__
    )


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_kind_of_object_has_a_judge(kind: type[Obj]) -> None:
    assert any(issubclass(kind, judged) for judged, _ in JUDGES), "netlab/diagnose/causes/judges.py: add it to JUDGES"


CAME = Lookup(
    Packet(version=4, source="10.244.1.2", target="10.244.2.2", protocol=TCP, ports=True, sport=999, dport=80), "cni0"
)


@pytest.mark.parametrize(
    ("words", "matches", "table"),
    [
        ("pref 51 to 10.244.2.0/24 lookup 51", True, 51),
        ("pref 51 to 10.244.3.0/24 lookup 51", False, 51),
        ("not pref 51 to 10.244.3.0/24 lookup 51", True, 51),
        ("pref 900 from 10.244.1.2/32 iif cni0 prohibit", True, 0),
        ("pref 900 iif eth0 prohibit", False, 0),
        ("pref 5 ipproto 6 dport 80-90 lookup 7", True, 7),
        ("pref 5 ipproto 17 lookup 7", False, 7),
        ("pref 5 fwmark 0x7 lookup 7", None, 7),
        ("pref 5 fwmark 0x7 to 10.244.3.0/24 lookup 7", False, 7),
        ("pref 5 lookup main suppress_prefixlength 0", True, 0),
        ("pref 5 goto 900", True, 0),
        ("pref 5 blackhole", True, 0),
    ],
)
def test_a_rule_of_policy_routing_matches(words: str, matches: bool | None, table: int) -> None:
    rule = parse(words)
    assert (rule.matches(CAME), rule.own_table) == (matches, table)
    assert rule.refuses == (words.rsplit(maxsplit=1)[-1] in ("prohibit", "blackhole"))
