"""The shell provisioners of the Vagrantfile, as scripts: what `vagrant up` runs as root in a new machine."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

_PROVISIONER = re.compile(
    r'config\.vm\.provision "(\w+)", type: "shell", inline: <<~SHELL\n(.*?)^ *SHELL$', re.M | re.S
)


def scripts(vagrantfile: Path) -> dict[str, str]:
    """By the provisioner's name, in their order."""
    return {name: textwrap.dedent(text) for name, text in _PROVISIONER.findall(vagrantfile.read_text())}
