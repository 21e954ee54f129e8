"""bootstrap.sh on hosts that lack something, and what it costs on one that lacks nothing.

The lacking hosts are a PATH with a few links in it; no test here installs anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bootstrap.sh"
BASICS = (
    "sh",
    "dirname",
    "id",
    "cat",
    "readlink",
    "sha256sum",
    "head",
    "grep",
    "rm",
    "mkdir",
    "env",
    "mktemp",
    "flock",
    "find",
    "sed",
)
LAB_TOOLS = ("ip", "bridge", "nft", "ping", "tcpdump", "ethtool", "busybox", "knotd")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without .venv, with a blank in its path, whose bootstrap looks nowhere but in PATH."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    text = SCRIPT.read_text()
    beyond = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
    assert beyond in text
    (folder / "bootstrap.sh").write_text(text.replace(beyond, ""))
    (folder / "bootstrap.sh").chmod(0o755)
    for name in ("requirements.lock", "requirements-test.lock"):
        shutil.copy(ROOT / name, folder)
    table = folder / "netlab/runtime/host/packages.txt"
    table.parent.mkdir(parents=True)
    shutil.copy(ROOT / table.relative_to(folder), table)
    return folder


def tools(tmp_path: Path, *names: str, uid: int = 1000, python: str = "3.12.0") -> dict[str, str]:
    """An environment whose PATH holds the basics, ``names``, an `id` that says ``uid`` and a Python of that version."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in BASICS:
        real = shutil.which(name)
        assert real is not None, name
        (folder / name).symlink_to(real)
    fakes = dict.fromkeys(names, "exit 0")
    fakes["id"] = f"echo {uid}"
    if python:
        new = tuple(map(int, python.split("."))) >= (3, 11)
        fakes["python3"] = f'case "$*" in -V) echo Python {python} ;; *) exit {0 if new else 1} ;; esac'
    for name, body in fakes.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder), "HOME": str(tmp_path)}


def run(folder: Path, env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(folder / "bootstrap.sh"), *command],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        ("apt-get", r"sudo apt-get install -y --no-install-recommends nftables tcpdump"),
        ("dnf", r"sudo dnf install -y --setopt=install_weak_deps=False nftables tcpdump"),
        ("apk", r"sudo apk add nftables tcpdump"),
        ("pacman", r"sudo pacman -S --needed --noconfirm nftables tcpdump"),
    ],
)
def test_without_root_one_sentence_says_what_to_type(checkout: Path, tmp_path: Path, manager: str, line: str) -> None:
    present = [name for name in LAB_TOOLS if name not in ("nft", "tcpdump")]
    done = run(checkout, tools(tmp_path, *present, manager), "true")
    assert done.returncode == 3, done.stderr
    assert re.search(line, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_answered_and_installs_nothing(checkout: Path, tmp_path: Path, word: str) -> None:
    done = run(checkout, tools(tmp_path, python=""), word)
    assert done.returncode == 0, done.stderr
    assert "sudo ./bootstrap.sh invoke lab up overlay" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith(("#", "set "))]
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("up", "overlay"), "./bootstrap.sh netlab up overlay"),
        (("exec", "client", "--", "id"), "./bootstrap.sh netlab exec client -- id"),  # sh has a built-in exec
        (("lab", "up", "overlay"), "./bootstrap.sh invoke lab up overlay"),
    ],
)
def test_a_verb_without_netlab_is_answered_with_the_line_to_type(words: tuple[str, ...], line: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    done = subprocess.run(
        [SCRIPT, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.rstrip().endswith(f"did you mean: {line}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("word", "status"), [("no-such-command", 127), ("--no-such-option", 2)])
def test_what_is_no_command_is_a_sentence(word: str, status: int) -> None:
    done = subprocess.run([SCRIPT, word], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert word in done.stderr and "--help" in done.stderr and len(done.stderr.splitlines()) == 1


def test_old_python_is_named_with_the_line_to_type(checkout: Path, tmp_path: Path) -> None:
    done = run(checkout, tools(tmp_path, *LAB_TOOLS, "apt-get", python="3.9.2"), "true")
    assert done.returncode == 3, done.stderr
    assert "Python 3.11 or newer is needed and this host has Python 3.9.2" in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ('ID=ubuntu\nVERSION_ID="22.04"', "type: sudo apt-get install python3.11 python3.11-venv"),
        ('ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian 11"', "Debian 11 has none, use Debian 12 or newer"),
        ("ID=fedora\nVERSION_ID=36", "type: sudo dnf install python3.12"),
    ],
)
def test_old_python_has_the_line_of_the_distribution(checkout: Path, tmp_path: Path, release: str, line: str) -> None:
    """On Ubuntu 22.04 python3 is 3.10; the distribution has 3.11 beside it."""
    script, described = checkout / "bootstrap.sh", tmp_path / "os-release"
    described.write_text(release + "\n")
    script.write_text(script.read_text().replace("/etc/os-release", str(described)))
    done = run(checkout, tools(tmp_path, *LAB_TOOLS, "apt-get", python="3.10.12"), "netlab", "--version")
    assert (done.returncode, done.stderr.strip()) == (
        3,
        f"bootstrap: Python 3.11 or newer is needed and this host has Python 3.10.12: {line}",
    )


def test_host_without_package_manager_is_told_what_it_lacks(checkout: Path, tmp_path: Path) -> None:
    done = run(checkout, tools(tmp_path, *(set(LAB_TOOLS) - {"nft"}), uid=0), "true")
    assert done.returncode == 3, done.stderr
    assert "lacks nft" in done.stderr


def ready() -> None:
    if not (ROOT / ".venv" / "stamp").exists():
        pytest.skip("this checkout has no .venv made by bootstrap.sh")


def test_run_again_says_nothing_and_installs_nothing() -> None:
    ready()
    stamp = ROOT / ".venv" / "stamp"
    before = stamp.stat()
    done = subprocess.run([SCRIPT, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (stamp.stat().st_ino, stamp.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_commands_keep_directory_input_and_status(tmp_path: Path) -> None:
    ready()
    done = subprocess.run(
        [SCRIPT, "sh", "-c", "pwd; cat; exit 7"], cwd=tmp_path, input="in", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (7, [os.path.realpath(tmp_path), "in"])


def test_invoke_finds_its_tasks_from_anywhere(tmp_path: Path) -> None:
    ready()
    done = subprocess.run([SCRIPT, "invoke", "--list"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  lab\s+netlab itself", done.stdout, re.M)


def test_files_of_the_current_directory_are_never_imported(tmp_path: Path) -> None:
    """`sudo /path/bootstrap.sh` typed in anyone's folder: from the first start to the compiling after a change."""
    if any(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None for name in LAB_TOOLS):
        pytest.skip("bootstrap.sh would install packages here")
    place, evil = tmp_path / "a checkout", tmp_path / "evil"
    for folder in (place / "netlab" / "cli", evil):
        folder.mkdir(parents=True)
    shutil.copy(SCRIPT, place)
    for lock in ("requirements.lock", "requirements-test.lock"):
        (place / lock).touch()  # no dependencies: pip needs no network
    source = place / "netlab" / "cli" / "entry.py"
    source.write_text("def main(): print('started')\n")
    proof = evil / "proof"
    for module in ("venv", "ensurepip", "pip", "compileall", "sysconfig", "netlab", "site", "sitecustomize", "re"):
        (evil / f"{module}.py").write_text(f"open({str(proof)!r}, 'a').write('{module} ')\n")
    for change in ("made anew", "a source file changed", "the lock file changed"):
        if change == "a source file changed":
            future = time.time() + 10
            os.utime(source, (future, future))
        if change == "the lock file changed":
            (place / "requirements.lock").write_text("# changed\n")
        done = subprocess.run([place / "bootstrap.sh", "netlab"], cwd=evil, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "started\n"), f"{change}: {done.stderr}"
        assert not proof.exists(), f"{change}: executed {proof.read_text()}"


# What every Linux has, what a shell itself knows, and what the pages make themselves.
_EVERYWHERE = frozenset(
    [
        "awk",
        "basename",
        "cat",
        "cd",
        "chmod",
        "cp",
        "cut",
        "date",
        "do",
        "done",
        "echo",
        "else",
        "env",
        "export",
        "false",
        "fi",
        "for",
        "grep",
        "head",
        "if",
        "kill",
        "ls",
        "mkdir",
        "mv",
        "printf",
        "ps",
        "pwd",
        "rm",
        "sed",
        "seq",
        "set",
        "sh",
        "bash",
        "sleep",
        "sort",
        "stat",
        "sudo",
        "tail",
        "tee",
        "test",
        "then",
        "timeout",
        "tr",
        "true",
        "uniq",
        "unset",
        "wait",
        "wc",
        "while",
        "xargs",
        "touch",
        "python3",
        "hostname",
        "id",
        "nsenter",
        "unshare",
        "od",
        "diff",
    ]
)
# busybox has these as applets, which exec finds; bridge, ss and tc come with ip.
_WITH_OTHERS = frozenset(
    ["wget", "nslookup", "nc", "nstat", "ss", "tc", "traceroute", "cmp", "getent", "readlink", "sha1sum"]
)


def test_pages_use_only_programs_that_bootstrap_installs_for_every_user() -> None:
    script = SCRIPT.read_text()
    installed = set(re.findall(r"^programs='(.*?)'$", script, re.M)[0].split())
    assert {"ip", "dig", "busybox"} <= installed
    optional = set(re.findall(r"\$\{tests:\+(.*?)\}", script)[0].split())
    pages = [ROOT / "README.md", *(ROOT / "labs").glob("*/README.md")]
    used = {}
    for page in pages:
        for block in re.findall(r"^ *```console(?! notest).*?\n(.*?)^ *```", page.read_text(), re.M | re.S):
            for line in re.findall(r"^ *[$#] (.*)$", block, re.M):
                words = re.findall(r"(?:^|-- |\| |; |exec \S+ |sudo )([a-z][\w-]+)", line)
                used.update((word, f"{page.relative_to(ROOT)}: {line[:80]}") for word in words)
    missing = {word: where for word, where in used.items() if word in optional}
    assert not missing, f"a plain bootstrap does not install {missing}"
    assert {word for word in used if shutil.which(word)} <= installed | _EVERYWHERE | _WITH_OTHERS | {
        "netlab",
        "invoke",
    }


# All that bootstrap.sh may have to install, by the names of each distribution's index.
_PACKAGES = {
    "apt-get": "iproute2 nftables iputils-ping tcpdump ethtool busybox curl bind9-dnsutils knot procps git shellcheck "
    "tshark iperf3 openssl containernetworking-plugins",
    "dnf": "iproute nftables iputils tcpdump ethtool busybox curl bind-utils knot procps-ng git ShellCheck wireshark-cli "
    "iperf3 openssl",
    "apk": "iproute2 nftables iputils-ping tcpdump ethtool busybox curl bind-tools knot procps-ng git shellcheck tshark "
    "iperf3 openssl",
    "pacman": "iproute2 nftables iputils tcpdump ethtool busybox curl bind knot procps-ng git shellcheck wireshark-cli "
    "iperf3 openssl",
}


@pytest.mark.parametrize("manager", _PACKAGES)
def test_a_dry_run_says_what_it_would_do_and_does_nothing(checkout: Path, tmp_path: Path, manager: str) -> None:
    env = tools(tmp_path, uid=1000)
    log = tmp_path / "log"
    fake = tmp_path / "bin" / manager
    fake.write_text(f"#!/bin/sh\necho $* >>{log}\n")
    fake.chmod(0o755)
    done = run(checkout, env, "--dry-run", "invoke", "test")
    assert (done.returncode, done.stderr) == (0, "")
    first, line, *rest = done.stdout.splitlines()
    packages = first.removeprefix("would install: ").split()
    expected = _PACKAGES[manager].split()
    if Path("/usr/lib/cni/bridge").exists():  # asked for by its path, and this host has it
        expected = [name for name in expected if name != "containernetworking-plugins"]
    assert packages == expected
    assert line.strip().startswith(manager) and line.endswith(" ".join(packages))
    assert ("not tested" in done.stdout) == (manager != "apt-get")
    assert rest[-2:] == [f"would make: {checkout}/.venv, from requirements-test.lock", "would run: invoke test"]
    assert not log.exists() and not (checkout / ".venv").exists()


@pytest.mark.parametrize("manager", _PACKAGES)
def test_the_package_manager_is_given_the_line_of_the_dry_run(checkout: Path, tmp_path: Path, manager: str) -> None:
    present = [name for name in LAB_TOOLS if name not in ("nft", "tcpdump")]
    env = tools(tmp_path, *present, "curl", "dig", "sysctl", uid=0)
    log = tmp_path / "log"
    for name in (manager, "tail"):
        fake = tmp_path / "bin" / name
        # nothing is installed, so the run ends where the environment is to be made
        fake.write_text(f"#!/bin/sh\necho {name} $* >>{log}\nif [ {name} = {manager} ]; then exit 7; fi\n")
        fake.chmod(0o755)
    planned = run(checkout, env, "--dry-run", "true").stdout.splitlines()[1].strip()
    assert planned.endswith("nftables tcpdump")
    done = run(checkout, env, "true")
    assert done.returncode == 3, done.stderr
    assert f"type: sudo {planned}" in done.stderr
    asked = log.read_text()
    wanted = {"apt-get": "install -y --no-install-recommends nftables tcpdump", "apk": "update"}
    assert wanted.get(manager, planned.partition(" ")[2]) in asked


BUNDLE_ABOUT = "debian 12 amd64 3.11 Debian GNU/Linux 12 (bookworm)\n"


def bundled(checkout: Path, tmp_path: Path, release: str) -> tuple[dict[str, str], Path]:
    """A checkout out of a bundle on a host of that release without nft and Python; and the log of its apt-get."""
    (checkout / "bundle").mkdir()
    (checkout / "bundle" / "about").write_text(BUNDLE_ABOUT)
    described = tmp_path / "os-release"
    described.write_text(release)
    script = checkout / "bootstrap.sh"
    script.write_text(script.read_text().replace("/etc/os-release", str(described)))
    env = tools(tmp_path, *(set(LAB_TOOLS) - {"nft"}), "curl", "dig", "sysctl", uid=0, python="")
    log = tmp_path / "log"
    bodies = {
        "apt-get": f"echo $* >>{log}\n[ $# -lt 12 ]",
        "dpkg": "echo amd64",
        "tail": "cat",
    }
    for name, body in bodies.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return env, log


def test_a_bundle_installs_from_itself_alone(checkout: Path, tmp_path: Path) -> None:
    release = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
    env, log = bundled(checkout, tmp_path, release)
    done = run(checkout, env, "netlab", "--version")
    assert done.returncode == 3, done.stderr  # the fake apt-get fails at install
    asked = log.read_text()
    update, install = (line for line in asked.splitlines() if "SourceParts=/dev/null" in line)
    assert update.endswith("update")
    assert install.endswith("install -y --no-install-recommends nftables python3.11 python3.11-venv")


def test_a_bundle_of_another_distribution_is_refused(checkout: Path, tmp_path: Path) -> None:
    env, log = bundled(checkout, tmp_path, 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"\n')
    done = run(checkout, env, "netlab", "--version")
    assert done.returncode == 3
    assert "this bundle is for Debian GNU/Linux 12 (bookworm) on amd64, and this host is Ubuntu 24.04" in done.stderr
    assert not log.exists() and not (checkout / ".venv").exists()


def test_a_bundle_needs_a_name() -> None:
    done = subprocess.run([SCRIPT, "--bundle"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "./bootstrap.sh --bundle netlab.tar" in done.stderr


def test_a_dry_run_on_a_ready_host_installs_nothing() -> None:
    ready()
    done = subprocess.run([SCRIPT, "--dry-run", "true"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "would run: true\n", "")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_a_release_candidate_of_python_has_all_that_the_lock_has(lock: str) -> None:
    """Ubuntu 22.04: python3.11 is 3.11.0rc1, which pip counts as no python_full_version below 3.13."""
    assert "python_full_version" not in (ROOT / lock).read_text()
