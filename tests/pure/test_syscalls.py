"""Numbers of the kernel on other architectures than this one, held against a table that was made from its headers."""

from __future__ import annotations

import ctypes
import errno
from pathlib import Path

import pytest

from netlab import libc
from netlab.kernel.capture import afpacket
from netlab.kernel.host import ethtool
from netlab.observe.trace import links
from netlab.runtime.agent import linux, seccomp
from netlab.runtime.client import enter

LINES = [line.split() for line in (Path(__file__).parent / "kernel_numbers.txt").read_text().splitlines()[1:]]
TABLE = {name: dict(zip(LINES[0][1:], map(int, values), strict=True)) for name, *values in LINES[1:]}
BITS = {"i686": 32, "armv7l": 32}


@pytest.mark.parametrize("machine", LINES[0][1:])
def test_system_calls_have_the_numbers_of_the_headers(machine: str) -> None:
    column = libc.architecture(machine, BITS.get(machine, 64))
    calls = {name: row[machine] for name, row in TABLE.items() if name.islower()}
    assert {name: libc.syscall_number(name, column) for name in calls} == calls
    assert set(seccomp.DENIED) <= set(calls)


@pytest.mark.parametrize(
    ("machine", "bits", "architecture"),
    [
        ("aarch64", 32, "arm"),  # Raspberry Pi OS of 32 bits on its 64-bit kernel
        ("x86_64", 32, "i386"),
        ("armv6l", 32, "arm"),
        ("armv8l", 32, "arm"),
        ("loongarch64", 64, "generic"),
        ("mips64", 64, ""),
        ("armv7b", 32, ""),
        ("ppc64", 64, ""),
        ("riscv64", 32, ""),
    ],
)
def test_the_numbers_are_those_of_the_process(machine: str, bits: int, architecture: str) -> None:
    assert libc.architecture(machine, bits) == architecture


@pytest.mark.parametrize(
    ("machine", "bits", "audit"),
    [
        *((machine, BITS.get(machine, 64), machine) for machine in ("x86_64", "i686", "armv7l", "aarch64", "riscv64")),
        ("aarch64", 32, "armv7l"),
        ("x86_64", 32, "i686"),
    ],
)
def test_the_filter_is_for_the_architecture_of_its_process(machine: str, bits: int, audit: str) -> None:
    """With the audit architecture of another one, the filter would refuse every system call of a Pod."""
    code = seccomp.program(machine, bits)
    operands = [int.from_bytes(code[at + 4 : at + 8], "little") for at in range(0, len(code), 8)]
    assert operands[1] == TABLE["AUDIT_ARCH"][audit]
    assert {TABLE[name][audit] for name in seccomp.DENIED} - {0} <= set(operands)
    assert TABLE["clone"][audit] in operands


@pytest.mark.parametrize("machine", ["s390x", "ppc64le", "mips64", "sparc64"])
def test_a_machine_without_numbers_has_no_filter(machine: str) -> None:
    assert seccomp.program(machine) == b""


def test_a_call_without_a_number_fails_as_on_an_old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libc, "syscall_number", lambda _: 0)
    assert libc.syscall("fsopen", b"proc", 1) == -1
    assert ctypes.get_errno() == errno.ENOSYS
    with pytest.raises(OSError, match="pivot_root"):
        linux.pivot_root("/", "/")


def test_ioctls_and_options_have_the_numbers_of_the_headers() -> None:
    everywhere = {
        "SIOCETHTOOL": ethtool._SIOCETHTOOL,
        "SIOCGIFFLAGS": links._FLAGS,
        "SIOCGIFMTU": links._MTU,
        "SO_TIMESTAMPNS_NEW": afpacket._SO_TIMESTAMPNS,
    }
    for name, value in everywhere.items():
        assert set(TABLE[name].values()) == {value}, name
    for machine in LINES[0][1:]:
        ours = enter.pty_requests(libc.architecture(machine, BITS.get(machine, 64)))
        assert ours == (TABLE["TIOCSPTLCK"][machine], TABLE["TIOCGPTPEER"][machine]), machine


def test_requests_are_as_long_as_the_kernels_structs() -> None:
    """struct ifreq has 40 bytes with 64 bits and 32 with 32: a shorter buffer would be written past its end."""
    assert links._REQUEST.size >= 40
    assert afpacket._TIME.size == 16  # struct __kernel_timespec: 64 bits each, everywhere
