"""Write tests/pure/kernel_numbers.txt: system calls, audit architectures and ioctls from the kernel's own headers.

They are taken by the C preprocessor from Debian's packages of the kernel's headers, which `apt-get download` fetches into
a temporary folder: this host needs apt, dpkg-deb and cpp.  tests/pure/test_syscalls.py holds netlab against the file.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from netlab.libc import _NUMBERS  # noqa: E402

WIDE = "-D__LP64__ -D_LP64"
# `uname -m`: package, folder of its headers, what the architecture's compiler defines, its AUDIT_ARCH_*
ARCHITECTURES = {
    "x86_64": ("linux-libc-dev-amd64-cross", "x86_64-linux-gnu", f"-D__x86_64__ {WIDE}", "X86_64"),
    "i686": ("linux-libc-dev-i386-cross", "i686-linux-gnu", "-D__i386__", "I386"),
    "armv7l": ("linux-libc-dev-armhf-cross", "arm-linux-gnueabihf", "-D__arm__ -D__ARM_EABI__", "ARM"),
    "aarch64": ("linux-libc-dev-arm64-cross", "aarch64-linux-gnu", f"-D__aarch64__ {WIDE}", "AARCH64"),
    "riscv64": (
        *("linux-libc-dev-riscv64-cross", "riscv64-linux-gnu"),
        *(f"-D__riscv -D__riscv_xlen=64 {WIDE}", "RISCV64"),
    ),
    "s390x": ("linux-libc-dev-s390x-cross", "s390x-linux-gnu", f"-D__s390x__ {WIDE}", "S390X"),
    "ppc64le": (
        *("linux-libc-dev-ppc64el-cross", "powerpc64le-linux-gnu"),
        *(f"-D__powerpc64__ -D__powerpc__ -D__LITTLE_ENDIAN__ -D_CALL_ELF=2 {WIDE}", "PPC64LE"),
    ),
}
HEADERS = ("asm/bitsperlong.h", "asm/unistd.h", "asm/ioctls.h", "linux/audit.h", "linux/elf-em.h", "linux/sockios.h")
OTHERS = ("TIOCGPTPEER", "TIOCSPTLCK", "SIOCETHTOOL", "SIOCGIFFLAGS", "SIOCGIFMTU", "SO_TIMESTAMPNS_NEW")


def value(text: str) -> int:
    """A constant's value; 0 where the header does not define it."""
    text = text.replace("sizeof(int)", "4").replace("'T'", str(ord("T")))
    text = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[UuLl]+\b", r"\1", text)
    return int(eval(text)) if re.fullmatch(r"[0-9a-fA-FxX()|<+\s]+", text) else 0  # numbers and operators


def numbers(folder: Path, package: str, place: str, defines: str, audit: str) -> list[int]:
    """One architecture's column."""
    subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    wanted = [*(f"__NR_{name}" for name in _NUMBERS), *OTHERS, f"AUDIT_ARCH_{audit}"]
    text = "\n".join(f"#include <{name}>" for name in (*HEADERS, "asm/socket.h"))
    text += "".join(f"\n@@ {name}" for name in wanted)
    argv = ["cpp", "-P", "-nostdinc", "-U__x86_64__", "-U__LP64__", "-U_LP64", "-U__ILP32__", *defines.split()]
    argv += ["-I", str(folder / "usr" / place / "include")]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True)
    return [value(line[3:]) for line in done.stdout.splitlines() if line.startswith("@@ ")]


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as name:
        columns = [numbers(Path(name), *of) for of in ARCHITECTURES.values()]
        versions = sorted({path.name.split("_")[1] for path in Path(name).glob("*.deb")})
    rows = [*_NUMBERS, *OTHERS, "AUDIT_ARCH"]
    lines = [
        f"# From the packages linux-libc-dev-*-cross {', '.join(versions)}, by scripts/make_kernel_numbers.py; 0: none.",
        " ".join(["name", *ARCHITECTURES]),
        *(" ".join([row, *(str(column[at]) for column in columns)]) for at, row in enumerate(rows)),
    ]
    (ROOT / "tests/pure/kernel_numbers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
