"""Hosts that forbid user namespaces: the cause and the lines that mend it, exit status 3."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.kernel
FORBIDDEN = {
    "user.max_user_namespaces=0": (
        "this host forbids user namespaces (user.max_user_namespaces=0)",
        "sudo sysctl -w user.max_user_namespaces=15000",
    ),
    "user.max_net_namespaces=0": (
        "this host forbids network namespaces (user.max_net_namespaces=0)",
        "sudo sysctl -w user.max_net_namespaces=15000",
    ),
    "seccomp": (
        "the seccomp filter or the AppArmor profile of this container forbids",
        "--security-opt seccomp=unconfined",
    ),
}


@pytest.mark.parametrize("setting", FORBIDDEN)
def test_the_cause_is_named_with_the_line_that_lifts_it(plain: Any, setting: str) -> None:
    """The limit holds in a user namespace of the test alone."""
    says, mend = FORBIDDEN[setting]
    done = plain(
        "netlab up overlay; echo status $?; netlab ls; netlab plan overlay >/dev/null; echo status $?", forbid=setting
    )
    first, *remedy, root, doctor = done.stderr.splitlines()
    assert done.stdout.splitlines()[::2] == ["status 3", "status 0"], done
    assert first.startswith(f"netlab: {says}")
    assert mend in remedy[0]
    assert root.startswith("  or as root: sudo ") and root.endswith("netlab up overlay")
    assert doctor == "  netlab doctor shows what else this host lacks"


def test_too_few_open_files_are_named_with_the_line_that_lifts_it(plain: Any) -> None:
    done = plain("ulimit -n 30; netlab up overlay; echo status $?")
    if "user namespaces" in done.stderr:
        pytest.skip("this host gives its users no namespaces")
    assert done.stdout == "status 3\n", done
    assert "and this process may have 30\n  as root, before netlab: ulimit -n " in done.stderr
