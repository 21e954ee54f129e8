"""The files for containers, read as text: no container engine is needed, and none was used."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".devcontainer"


def test_it_is_privileged_and_made_by_bootstrap() -> None:
    """Without privilege it makes no namespaces; another key than these was never looked at."""
    document = json.loads((FOLDER / "devcontainer.json").read_text())
    assert document.keys() == {"name", "build", "privileged", "remoteUser", "onCreateCommand"}
    assert document["privileged"] is True and document["onCreateCommand"].startswith("./bootstrap.sh ")
    assert (FOLDER / document["build"]["dockerfile"]).is_file()


def test_its_image_has_what_bootstrap_cannot_install_itself() -> None:
    text = (FOLDER / "Containerfile").read_text()
    assert text.count("\nFROM ") == 1 and ":bookworm\n" in text
    assert {"ca-certificates", "git", "python3", "python3-venv"} <= set(text.split())


def test_the_image_is_made_by_bootstrap_and_carries_no_caches() -> None:
    root = FOLDER.parent
    text = (root / "Containerfile").read_text()
    assert "COPY . /opt/netlab\n" in text and "/opt/netlab/bootstrap.sh netlab --version" in text
    assert {"python3", "python3-venv"} <= set(text.split())
    assert {".git", ".venv", "build", "dist", "**/__pycache__"} == set((root / ".dockerignore").read_text().split())
