"""The causes that keep a host from giving its users namespaces, and the ranges of users that it gives them."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from netlab.runtime.rootless.causes import Facts, Refusal, cause
from netlab.runtime.rootless.door import makes
from netlab.runtime.rootless.subids import arguments, of_user

UBUNTU = {"kernel.apparmor_restrict_unprivileged_userns": "1"}


def facts(sysctls: dict[str, str] | None = None, **more: Any) -> Facts:
    plain = {"container": False, "chroot": False, "profile": "unconfined", "program": "/p/.venv/bin/netlab"}
    return Facts(sysctl=(sysctls or {}).get, **{**plain, **more})


CASES = [
    ("user", errno.ENOSPC, facts({"user.max_user_namespaces": "0"}), "max-user-namespaces", "user.max_user_namespaces=15000"),
    ("net", errno.ENOSPC, facts({"user.max_net_namespaces": "0"}), "max-net-namespaces", "user.max_net_namespaces=15000"),
    ("user", errno.ENOSPC, facts({"user.max_user_namespaces": "9"}), "max-user-namespaces-reached", "user.max_user_namespaces=60000"),
    ("user", errno.EPERM, facts({"kernel.unprivileged_userns_clone": "0"}), "unprivileged-userns-clone", "kernel.unprivileged_userns_clone=1"),
    ("map", errno.EPERM, facts(UBUNTU), "apparmor-restrict-unprivileged-userns", 'profile netlab "/p/.venv/bin/netlab"'),
    ("mnt", errno.EACCES, facts(UBUNTU), "apparmor-restrict-unprivileged-userns", "apparmor_restrict_unprivileged_userns=0"),
    ("map", errno.EACCES, facts(profile="strict"), "apparmor-profile", '"userns,"'),
    ("user", errno.EPERM, facts(container=True), "container", "seccomp=unconfined"),
    ("user", errno.EPERM, facts(UBUNTU, container=True), "container", "seccomp=unconfined"),
    ("proc", errno.EPERM, facts(container=True), "container-proc", "systempaths=unconfined"),
    ("user", errno.EPERM, facts(chroot=True), "chroot", "outside the chroot"),
    ("user", errno.ENOSYS, facts(), "no-user-namespaces", "boot a kernel"),
    ("user", errno.EPERM, facts(), "refused", "security module"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "code", "host", "key", "line"), CASES)
def test_each_signature_has_its_cause_and_its_remedy(step: str, code: int, host: Facts, key: str, line: str) -> None:
    reason = cause(Refusal(step, code), host)
    assert reason.key == key
    assert any(line in remedy for remedy in reason.remedy), reason.remedy


def test_only_what_makes_a_lab_makes_a_world() -> None:
    yes = ["up overlay", "test -f policies.yaml"]
    no = ["", "up --help", "test --predict chart", "ls", "down overlay", "exec web -- up"]
    assert [makes(words.split()) for words in (*yes, *no)] == [True] * len(yes) + [False] * len(no)


def test_ranges_of_users_follow_the_users_own() -> None:
    lines = ["ann:100000:65536", "1001:300000:10", "bob:5:0", "# ann:1:1", "bob:nonsense:1"]
    assert of_user(lines, ("1001", "ann")) == [(100000, 65536), (300000, 10)]
    assert of_user(lines, ("1002", "bob")) == []
    assert arguments(1001, [(100000, 5), (300000, 10)]) == ["0", "1001", "1", "1", "100000", "5", "6", "300000", "10"]
