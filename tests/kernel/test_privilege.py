"""Hosts that cannot, and users that may not."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from netlab.runtime.host.requirements import require

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]
NETLAB = f"env PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1 {sys.executable} -m netlab"


@pytest.fixture
def spec(kit: Any, lab_name: str, tmp_path: Path) -> tuple[str, Path]:
    path = tmp_path / "lab.yaml"
    path.write_text(kit.spec(lab_name))
    for folder in (path, *list(path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    return lab_name, path


def run(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)


def as_nobody(kit: Any, words: str) -> subprocess.CompletedProcess[str]:
    """netlab as the user nobody."""
    return run(f"unshare -m sh -ec {shlex.quote(kit.as_nobody(f'{NETLAB} {words}'))}")


def test_a_lab_that_is_not_there_is_down_for_everybody(kit: Any, spec: tuple[str, Path]) -> None:
    done = as_nobody(kit, f"down {spec[0]}")
    # Other labs of the host may have names alike.
    assert done.returncode == 0 and done.stdout.startswith(f"lab {spec[0]} is not running"), done.stderr


def test_plan_needs_no_privilege(kit: Any, spec: tuple[str, Path]) -> None:
    done = as_nobody(kit, f"plan {spec[1]}")
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_who_may_not_make_namespaces_is_told_that_it_needs_root(kit: Any) -> None:
    """The kernel's refusal is that of unshare: going back to where the thread still is must not hide it."""
    cluster = kit.cluster(kit.spec("refused"))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            require(cluster)
        except BaseException as refusal:  # noqa: BLE001 - a child of fork must end here
            os.write(write, f"{type(refusal).__name__}: {refusal}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as stream:
        said = stream.read().decode()
    os.waitpid(child, 0)
    assert said == "NeedsRoot: this needs root: it makes network namespaces"


def test_without_nft_exit_3_says_how_to_get_it(kit: Any, spec: tuple[str, Path], tmp_path: Path) -> None:
    """The library hidden below an empty file, in a mount namespace of the test's own."""
    lab, path = spec
    found = sorted(Path("/").glob("usr/lib*/**/libnftables.so.1*"))
    binds = " ".join(f"mount --bind /dev/null {one.resolve()};" for one in found)
    python = Path(sys.executable)
    line = f"unshare -m sh -c '{binds} exec env PATH=/nowhere PYTHONPATH={ROOT} {python} -m netlab up {path}'"
    done = run(line)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nft is missing" in done.stderr
    assert "install nftables" in done.stderr
    assert not kit.remains(lab)


def test_a_lab_in_a_user_namespace(spec: tuple[str, Path]) -> None:
    _, path = spec
    if run("unshare -Urnm true").returncode:
        pytest.skip("this host makes no user namespaces")
    name = f"hk{uuid.uuid4().hex[:6]}"
    line = f"""set -e
mount -t tmpfs none /run
mkdir -p /run/netns
# An /etc of its own: whoever removes /etc/netns takes along what is mounted there in any other namespace.
cp -r /etc /run/.etc 2>/dev/null || true
rm -rf /run/.etc/netns
mount --bind /run/.etc /etc
{NETLAB} up {path} --name {name} >&2
ip netns exec {name}-client ping -n -c 1 -W 1 10.244.2.2 >&2
{NETLAB} diff {name} >&2
{NETLAB} up {path} --name {name} | head -1
{NETLAB} down {name} >&2
ls /run/netns /run/netlab 2>/dev/null | grep {name} && exit 9
exit 0
"""
    done = subprocess.run(
        ["unshare", "-Urnm", "sh", "-c", line], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to do" in done.stdout
