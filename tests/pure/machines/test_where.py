"""`--machines`: what is an address, and what must not be one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from netlab.cli.verbs import test, worker
from netlab.errors import BadInput
from netlab.runtime.machines.where import Ssh, Where, parse, scheduler


def test_a_scheduler_has_dasks_port_where_none_is_given() -> None:
    assert parse("tls://farm.example.org") == Where("tls://farm.example.org:8786")
    assert parse("tls://[fd00::1]:9") == Where("tls://[fd00::1]:9")


def test_hosts_by_ssh_have_a_user_a_port_and_an_interpreter() -> None:
    assert parse("ssh://a,ssh://root@b:2222/opt/netlab/bin/python").hosts == (
        Ssh("a", "a"),
        Ssh("b", "b", "root", 2222, "/opt/netlab/bin/python"),
    )


def test_a_host_that_is_named_twice_has_two_workers() -> None:
    assert [host.name for host in parse("ssh://a,ssh://a").hosts] == ["a", "a-2"]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://127.3.2.1", "tcp://[::1]:8786"])
def test_plain_tcp_is_for_this_machine(address: str) -> None:
    assert scheduler(address).startswith("tcp://")


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "tcp://localhost.example.org", "tcp://0.0.0.0", "tcp://[fd00::1]"]
)
def test_plain_tcp_to_another_machine_is_refused(address: str) -> None:
    """An open port of a worker is root for everybody on that network."""
    for command, option in ((test.command, "--machines"), (worker.command, "--scheduler")):
        done = CliRunner().invoke(
            command, [option, address, *([] if command is worker.command else ["--predict", "labs/policy"])]
        )
        assert isinstance(done.exception, BadInput)
        assert "plain TCP is for 127.0.0.1 alone" in done.exception.message
        assert done.exception.hint.startswith("tls://")


@pytest.mark.parametrize(
    "text",
    ["", "a", "ssh://", "ssh://a,,ssh://b", "tls://a,tls://b", "ssh://a,tls://b", "http://a", "tls://a:0", "tls://a:x",
     "tls://a/path", "ssh://-oProxyCommand=x", "ssh://user:word@a", "tls://u@a"],
)  # fmt: skip
def test_anything_else_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text)


def test_without_the_engine_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError('No module named distributed')")
    root = Path(__file__).resolve().parents[3]
    line = [sys.executable, "-m", "netlab", "test", "--predict", "--machines", "tls://a", "labs/policy"]
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"}
    done = subprocess.run(line, env=env, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, "pip install 'kubenetlab[cluster]'" in done.stderr) == (3, True), done.stderr


def test_no_other_command_loads_the_engine() -> None:
    """Its import takes half a second."""
    program = (
        "import sys; from netlab.cli.main import cli; import netlab.cli.verbs.test, netlab.cli.verbs.worker, netlab.testrun.sets;"
        "print([name for name in sys.modules if name.split('.')[0] in ('distributed', 'dask') or '.machines' in name])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
