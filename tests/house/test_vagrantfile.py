"""The Vagrantfile without Vagrant: Ruby runs it with a stand-in where Ruby is; what rsync does with its arguments."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Vagrantfile").read_text()

# What both providers and Vagrant itself know of the settings that a machine may have; another word is an error there.
MACHINE = {"cpus", "memory"}
VM = {"box", "box_version", "hostname", "synced_folder", "provider", "provision", "post_up_message"}

STAND_IN = """
require "json"; require "rbconfig"
class Seen
  attr_reader :calls
  def initialize; @calls = []; end
  def method_missing(name, *words, **options, &block)
    inner = block ? Seen.new.tap { |seen| block.call(seen) }.calls : nil
    @calls << [name.to_s.chomp("="), words, options, inner]
  end
  def respond_to_missing?(*) = true
end
class Config
  attr_reader :vm
  def initialize; @vm = Seen.new; end
end
module Vagrant
  def self.configure(version)
    config = Config.new
    yield config
    puts JSON.generate(config.vm.calls)
  end
end
load ARGV.shift
"""


def calls(*words: str, box: str = "", cpu: str = "x86_64") -> list[list[Any]]:
    if not shutil.which("ruby"):
        pytest.skip("ruby is not installed: the Vagrantfile is read as text alone")
    before = f'require "rbconfig"; RbConfig::CONFIG["host_cpu"] = "{cpu}"\n'
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **({"NETLAB_BOX": box} if box else {})}
    argv = ["ruby", "-e", before + STAND_IN, str(ROOT / "Vagrantfile"), *words]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[Any]] = json.loads(done.stdout)
    return found


def test_both_providers_get_settings_that_they_know() -> None:
    assert re.search(r"%w\[virtualbox libvirt\]\.each", TEXT)
    assert set(re.findall(r"\bmachine\.(\w+)", TEXT)) == MACHINE
    assert set(re.findall(r"config\.vm\.(\w+)", TEXT)) == VM
    assert TEXT.count("<<~") == len(re.findall(r"^ *(?:SHELL|TEXT)$", TEXT, re.M))


def test_ruby_runs_it_for_both_providers() -> None:
    found = calls("up")
    providers = {call[1][0]: {name for name, *_ in call[3]} for call in found if call[0] == "provider"}
    assert providers == {"virtualbox": MACHINE, "libvirt": MACHINE}
    assert {call[0] for call in found} == VM
    (version,) = (call[1] for call in found if call[0] == "box_version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version[0])


@pytest.mark.parametrize("provider", ["virtualbox", "libvirt"])
def test_vagrant_knows_every_setting(provider: str, tmp_path: Path) -> None:
    """Vagrant reads a provider's settings where that provider is there: VirtualBox is a stub, to have them read."""
    if not shutil.which("vagrant"):
        pytest.skip("vagrant is not installed: a stand-in for it runs the Vagrantfile")
    stub = tmp_path / "bin" / "VBoxManage"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\necho 7.0.0r1\n")
    stub.chmod(0o755)
    env = {**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}", "VAGRANT_DEFAULT_PROVIDER": provider}
    env |= {"VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    shutil.copy(ROOT / ".gitignore", tmp_path)

    def validated(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "Vagrantfile").write_text(text)
        line = ["vagrant", "validate"]
        return subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    good = validated(TEXT)
    if "provider 'libvirt' could not be found" in good.stderr:
        pytest.skip("vagrant-libvirt is not installed")
    assert good.returncode == 0, good.stdout + good.stderr
    wrong = validated(TEXT.replace("machine.memory", "machine.memry"))
    assert wrong.returncode != 0 and "memry" in wrong.stdout + wrong.stderr


def test_another_box_is_not_pinned_to_the_version_of_ours() -> None:
    found = calls("up", box="some/box", cpu="aarch64")
    assert ["box", ["some/box"], {}, None] in found
    assert "box_version" not in {call[0] for call in found}


def test_arm64_is_answered_with_a_sentence() -> None:
    with pytest.raises(AssertionError, match="docs/distributions"):
        calls("up", cpu="aarch64")
    calls("destroy", cpu="aarch64")


def _arguments() -> list[str]:
    (arguments,) = re.findall(r"rsync__args: \[(.*?)\]", TEXT)
    return re.findall(r'"(.*?)"', arguments)


def test_nothing_in_the_machine_is_deleted() -> None:
    """Vagrant's own arguments have --delete, at each up and reload: a learner's labs were gone."""
    assert "--delete" not in " ".join(_arguments())
    assert {"--archive", "--update"} <= set(_arguments())


def test_what_git_ignores_does_not_travel() -> None:
    assert re.search(r'rsync__exclude: \["\.git/", \*File\.readlines\(File\.join\(__dir__, "\.gitignore"\)', TEXT)
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/.venv/", "/build/", "/.hypothesis/", "/.vagrant/", "__pycache__/"} <= set(ignored)
    assert not [line for line in ignored if line.startswith(("#", "!")) or not line.strip()]  # rsync has no such forms


def test_a_learners_labs_survive_and_the_checkouts_changes_arrive(tmp_path: Path) -> None:
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    host, machine = tmp_path / "host", tmp_path / "machine"
    for name in ("labs/overlay/lab.yaml", "labs/direct/lab.yaml", "netlab/a.py", ".git/x", ".venv/x", "build/x"):
        (host / name).parent.mkdir(parents=True, exist_ok=True)
        (host / name).write_text("first")

    def bring() -> None:
        excludes = [f"--exclude={line}" for line in (".git/", *(ROOT / ".gitignore").read_text().splitlines())]
        subprocess.run(["rsync", *_arguments(), *excludes, f"{host}/", str(machine)], check=True, capture_output=True)

    bring()
    (machine / "labs/mine").mkdir()
    (machine / "labs/mine/lab.yaml").write_text("the learner's")
    (machine / "labs/direct/lab.yaml").write_text("changed by the learner")
    (machine / ".venv").mkdir()
    (host / "labs/overlay/lab.yaml").write_text("second!")
    for changed in (machine / "labs/direct/lab.yaml", host / "labs/overlay/lab.yaml"):
        later = changed.stat().st_mtime + 60
        os.utime(changed, (later, later))
    bring()
    assert (machine / "labs/mine/lab.yaml").read_text() == "the learner's"
    assert (machine / "labs/direct/lab.yaml").read_text() == "changed by the learner"
    assert (machine / "labs/overlay/lab.yaml").read_text() == "second!"
    assert (machine / ".venv").is_dir()
    assert sorted(p.name for p in machine.iterdir()) == [".venv", "labs", "netlab"]
