"""A provisioned root, booted with Debian 12's own kernel: labs run there as a learner types them after `vagrant ssh`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.vm import command
from tests.vm.kernels import Cannot

_TYPED = """set -e
for lab in overlay services; do
  sudo ./bootstrap.sh invoke lab up $lab
  sudo ./bootstrap.sh netlab check $lab
  sudo ./bootstrap.sh netlab diff $lab
  sudo ./bootstrap.sh netlab down $lab
done"""
# systemd would load the modules.
_LINE = f"""echo 127.0.0.1 vm >>/etc/hosts; uname -r
modprobe -a $(cat /etc/modules-load.d/netlab.conf) && su vagrant -c '{_TYPED}'"""


def boot(archive: Path) -> str:
    """Why labs did not run there; empty where they did. Raises ``Cannot``, with the reason, where this host cannot boot it."""
    with tempfile.TemporaryDirectory(prefix="root-", dir=archive.parent) as folder:
        subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
        status = command.run("6.1", _LINE, root=Path(folder), here=Path("/home/vagrant/netlab"))
    return f"in the booted root: exit status {status}, the last lines are above" if status else ""


__all__ = ["Cannot", "boot"]
