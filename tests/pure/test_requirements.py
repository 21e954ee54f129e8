"""A kernel without the devices of a data plane: exit status 3 with what to get, from ``up`` and, as a note, ``plan``."""

from __future__ import annotations

import errno

import pytest

from netlab.errors import HostCannot
from netlab.kernel.host.features import Tried
from netlab.model import Cluster, build
from netlab.planes import ROWS
from netlab.runtime.host import remedies, requirements
from netlab.spec import Text, load_texts


def lab(plane: str, families: str = "[IPv4]") -> Cluster:
    text = f"""
apiVersion: netlab/v1
kind: Lab
metadata: {{name: x}}
spec: {{dataplane: {plane}, ipFamilies: {families}}}
"""
    return build(load_texts([Text("lab.yaml", text)])).cluster


@pytest.mark.parametrize("plane", ["geneve", "ipip", "wireguard"])
def test_a_missing_device_is_told_with_its_module_and_package(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def tries(kinds: tuple[str, ...], _: tuple[str, ...] = ()) -> Tried:
        return Tried(None, {kind: errno.EOPNOTSUPP for kind in kinds if kind == plane}, True)

    monkeypatch.setattr(requirements, "tries", tries)
    monkeypatch.setattr(remedies, "this_system", lambda: remedies.System(("debian",), "x86_64", "6.1.0"))
    with pytest.raises(HostCannot) as refused:
        requirements.require(lab(plane))
    assert refused.value.status == 3
    assert f"this kernel has no {plane} devices (Operation not supported)" in str(refused.value)
    assert f"data plane {plane}" in str(refused.value)
    assert refused.value.hint.startswith(f"sudo modprobe {plane};")
    assert "apt-get install linux-image" in refused.value.hint
    says = requirements.lacking(lab(plane))
    assert says == (str(refused.value), refused.value.hint)
    assert requirements.lacking(lab("vxlan")) is None


def test_a_plane_that_does_not_carry_a_family_is_refused_at_its_line() -> None:
    for families in ("[IPv6]", "[IPv4, IPv6]"):
        with pytest.raises(Exception, match="data plane ipip carries IPv4 alone, not IPv6") as refused:
            lab("ipip", families)
        assert "lab.yaml:5" in str(refused.value)
    assert {name for name, row in ROWS.items() if row.families != ("IPv4", "IPv6")} == {"ipip", "calico-ipip"}


@pytest.mark.parametrize(
    ("ids", "module", "package"),
    [
        (("fedora",), "sch_netem", "kernel-modules-extra"),
        (("fedora",), "sctp", "kernel-modules"),
        (("fedora",), "wireguard", "kernel-modules-core"),
        (("rocky", "rhel", "centos", "fedora"), "sctp", "kernel-modules-extra"),
        (("rocky", "rhel", "centos", "fedora"), "ipip", "kernel-modules"),
    ],
)
def test_the_package_named_is_that_of_the_module(ids: tuple[str, ...], module: str, package: str) -> None:
    system = remedies.System(ids, "x86_64", "6.14")
    assert remedies.kernel(module, system) == f"sudo dnf install {package}, then boot that kernel"
