"""Where a module of the kernel is, by the files of made-up hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.runtime.doctor.modules import Modules, Where

RELEASE = "6.12.9-amd64"


def host(tmp_path: Path, **files: str) -> Modules:
    """A host with these files: ``loaded``, ``builtin``, ``dep``, ``disabled``."""
    paths = {
        "loaded": "proc/modules",
        "builtin": f"usr/lib/modules/{RELEASE}/modules.builtin",
        "dep": f"usr/lib/modules/{RELEASE}/modules.dep",
        "disabled": "proc/sys/kernel/modules_disabled",
    }
    for name, text in files.items():
        path = tmp_path / paths[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Modules(RELEASE, tmp_path)


STOCK = {
    "loaded": "br_netfilter 32768 0 - Live 0x0\nbridge 311296 1 br_netfilter, Live 0x0\n",
    "builtin": "kernel/net/packet/af_packet.ko\nkernel/net/ipv6/ipv6.ko\n",
    "dep": "kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/ipv4/udp_tunnel.ko.xz\n"
    "kernel/net/sched/sch_netem.ko:\nkernel/net/x-tables.ko.zst: \n",
}


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("bridge", Where.IN_KERNEL),
        ("ipv6", Where.IN_KERNEL),
        ("vxlan", Where.IN_A_FILE),
        ("sch_netem", Where.IN_A_FILE),
        ("x_tables", Where.IN_A_FILE),
        ("udp_tunnel", Where.NOWHERE),  # it stands behind the colon alone
        ("geneve", Where.NOWHERE),
    ],
)
def test_a_stock_kernel(tmp_path: Path, name: str, where: Where) -> None:
    assert host(tmp_path, **STOCK).where((name,)) == (where, "" if where is Where.IN_KERNEL else name)


def test_of_several_modules_the_worst_counts(tmp_path: Path) -> None:
    modules = host(tmp_path, **STOCK)
    assert modules.where(("bridge", "vxlan")) == (Where.IN_A_FILE, "vxlan")
    assert modules.where(("vxlan", "geneve")) == (Where.NOWHERE, "geneve")
    assert modules.where(()) == (Where.IN_KERNEL, "")


def test_a_container_sees_what_is_loaded_and_not_what_could_be(tmp_path: Path) -> None:
    modules = host(tmp_path, loaded=STOCK["loaded"])
    assert modules.where(("bridge",)) == (Where.IN_KERNEL, "")
    assert modules.where(("vxlan",)) == (Where.UNKNOWN, "vxlan")


def test_what_is_built_in_may_show_in_sys(tmp_path: Path) -> None:
    (tmp_path / "sys/module/vxlan").mkdir(parents=True)
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/packet").write_text("")
    assert host(tmp_path, loaded="").where(("vxlan", "af_packet")) == (Where.IN_KERNEL, "")


def test_a_kernel_without_modules_may_be_tried_freely(tmp_path: Path) -> None:
    assert host(tmp_path).where(("vxlan", "geneve")) == (Where.IN_KERNEL, "")


def test_a_locked_kernel_loads_no_file(tmp_path: Path) -> None:
    modules = host(tmp_path, **STOCK, disabled="1\n")
    assert modules.where(("bridge",))[0] is Where.IN_KERNEL
    assert modules.where(("vxlan",)) == (Where.NOWHERE, "vxlan")
