"""What the API keeps beside a lab, read again by the next server."""

from __future__ import annotations

from pathlib import Path

from netlab.api.kept import Kept
from netlab.api.resources import Key

SECRET = Key("", "secrets", "default", "s")


def test_the_next_server_has_what_was_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.new(SECRET, {"kind": "Secret", "data": {"p": "cQ=="}}).finalizers = ["example.com/hold"]
    pod = kept.of(Key("", "pods", "default", "p"))
    pod.annotations, pod.deletion, pod.grace = {"a": "b", "gone": None}, "2026-01-01T00:00:00Z", 30
    pod.managers, pod.applied = [{"manager": "kubectl"}], {"kubectl": {"spec": {}}}
    kept.again(Key("", "serviceaccounts", "default", "default"))
    kept.save()
    after = Kept(tmp_path)
    assert after.objects == kept.objects and after.remade == kept.remade
    assert after.terminating() == [Key("", "pods", "default", "p")]
