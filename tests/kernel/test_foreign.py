"""What is not the lab's: other people's names, files, tables, links, processes, other labs."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import BadInput, NetlabError, StateError
from netlab.kernel.host import files
from netlab.runtime import lab as labs
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import RunDir

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")]


def left(kit: Any, lab: str, but: str) -> list[str]:
    return [one for one in kit.remains(lab) if but not in one]


def test_a_foreign_namespace_of_a_wanted_name_stops_up_before_anything_is_built(kit: Any, lab: str) -> None:
    netns = f"{lab}-server"
    kit.sh(f"ip netns add {netns}")
    try:
        with pytest.raises(StateError, match=f"{netns} in /run/netns is taken: it is not netlab's"):
            kit.up(kit.spec(lab))
        assert not left(kit, lab, netns)
        kit.sh(f"ip -n {netns} link show lo")
        labs.down(lab)
        kit.sh(f"ip -n {netns} link show lo")
    finally:
        kit.sh(f"ip netns del {netns}")


def test_a_plain_file_in_run_netns_is_left_alone(kit: Any, lab: str) -> None:
    path = Path(f"/run/netns/{lab}-server")
    path.parent.mkdir(exist_ok=True)
    path.touch()
    try:
        with pytest.raises(StateError, match=path.name):
            kit.up(kit.spec(lab))
        assert not left(kit, lab, path.name)
        labs.down(lab)
        assert path.exists()
    finally:
        path.unlink()


def test_a_foreign_folder_in_etc_netns_is_left_alone(kit: Any, lab: str) -> None:
    files.prepare()
    path = Path(f"/etc/netns/{lab}-server")
    path.mkdir(parents=True)
    (path / "hosts").write_text("mine\n")
    try:
        with pytest.raises(StateError, match=str(path)):
            kit.up(kit.spec(lab))
        assert not left(kit, lab, path.name)
        labs.down(lab)
        assert (path / "hosts").read_text() == "mine\n"
    finally:
        shutil.rmtree(path)
        files.tidy()


def test_names_of_another_lab_are_told_with_their_owner(kit: Any, lab: str) -> None:
    """Lab a with node b-node-1, and lab a-b with node-1, want one name."""
    other = f"{lab}-b"
    kit.up(kit.spec(other))
    try:
        with pytest.raises(StateError, match=f"{other}-node-1 .* it is lab {other}'s node node-1"):
            kit.up(kit.spec(lab, [], ["b-node-1"]))
        assert not [one for one in kit.remains(lab) if other not in one]
        assert kit.ping(f"{other}-client", "10.244.2.2")
    finally:
        kit.down(other)


def test_labs_whose_names_begin_alike_stay_apart(kit: Any, lab: str) -> None:
    other = f"{lab}-b"
    kit.up(kit.spec(lab))
    kit.up(kit.spec(other, dataplane="host-gw"))
    try:
        for one in (lab, other):
            assert not labs.diff(one)[1].operations
            assert not labs.diff(one)[1].foreign
        kit.down(lab)
        assert kit.ping(f"{other}-client", "10.244.2.2")
        assert not labs.diff(other)[1].operations
        assert RunDir(other).exists()
        kit.up(kit.spec(lab))
        kit.down(other)
        assert kit.ping(f"{lab}-client", "10.244.2.2")
    finally:
        kit.down(other)
        kit.down(lab)
    assert not kit.remains(lab)
    assert not kit.remains(other)


def test_one_spec_under_two_names(kit: Any, lab: str) -> None:
    text, second = kit.spec(lab), f"{lab}-two"
    kit.up(text)
    kit.up(text, name=second)
    try:
        assert kit.ping(f"{second}-client", "10.244.2.2")
        kit.sh(f"ip -n {second}-server link set eth0 down")
        assert kit.ping(f"{lab}-client", "10.244.2.2")
        assert not kit.ping(f"{second}-client", "10.244.2.2", "-W", "0.3")
    finally:
        kit.down(second)


def test_foreign_tables_and_links_are_told_left_alone_and_go_with_the_lab(kit: Any, lab: str) -> None:
    text = kit.spec(lab)
    kit.up(text)
    netns = f"{lab}-node-1"
    kit.sh(f"ip netns exec {netns} nft add table inet mine")
    kit.sh(f"ip -n {netns} link add mine type bridge; ip -n {netns} addr add 10.50.0.1/24 dev mine")
    kit.sh(f"ip -n {netns} link set mine up; ip -n {netns} route add 10.51.0.0/24 dev mine")
    _, drifted = labs.diff(lab)
    assert not drifted.operations
    assert {(one.kind, one.name) for one in drifted.foreign} >= {("nft", "inet mine"), ("bridge", "mine")}
    done = kit.up(text)
    assert done.changed == 0
    assert {one.name for one in done.foreign} >= {"inet mine", "mine"}
    kit.sh(f"ip netns exec {netns} nft list table inet mine; ip -n {netns} route show 10.51.0.0/24 | grep mine")
    kit.down(lab)
    assert not kit.remains(lab)


def test_a_shell_in_a_pod_outlives_down_and_is_named(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab))
    shell = subprocess.Popen(["ip", "netns", "exec", f"{lab}-client", "sleep", "60"])
    try:
        for _ in range(3000):
            if Path(f"/proc/{shell.pid}/comm").read_text().strip() == "sleep":
                break
            time.sleep(0.02)
        done = kit.down(lab)
        assert [(one.pid, one.comm, one.netns) for one in done.strangers] == [(shell.pid, "sleep", f"{lab}-client")]
        assert shell.poll() is None
    finally:
        shell.kill()
        shell.wait()


def test_another_users_lab_is_neither_changed_nor_removed(kit: Any, lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1001")
    kit.up(kit.spec(lab))
    monkeypatch.setenv("SUDO_UID", "1002")
    with pytest.raises(StateError, match="user 1001's"):
        kit.up(kit.spec(lab, dataplane="host-gw"))
    with pytest.raises(StateError, match="user 1001's"):
        kit.down(lab)
    assert kit.ping(f"{lab}-client", "10.244.2.2")
    monkeypatch.setenv("SUDO_UID", "1001")
    assert kit.up(kit.spec(lab)).changed == 0
    monkeypatch.delenv("SUDO_UID")
    kit.down(lab)  # root may


def test_a_running_name_from_another_source_is_refused_with_both_paths(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab), "/one/lab.yaml")
    with pytest.raises(BadInput, match=r"/one/lab\.yaml.*/two/lab\.yaml") as caught:
        kit.up(kit.spec(lab, dataplane="host-gw"), "/two/lab.yaml")
    assert caught.value.status == 2


def test_two_writers_take_turns(kit: Any, lab: str) -> None:
    """Each in a process of its own, as from two terminals."""
    said: list[str] = []
    (locked, holds), (free, release) = os.pipe(), os.pipe()
    first = os.fork()
    if first == 0:
        try:
            with lock.locked(lab):
                os.write(holds, b"!")
                select.select([free], [], [], 60)
        finally:
            os._exit(0)
    os.read(locked, 1)

    def say(text: str) -> None:
        said.append(text)
        os.write(release, b"!")  # the second waits: now the first goes on

    labs.up(kit.draft(kit.spec(lab)), say=say)
    os.waitpid(first, 0)
    for fd in (locked, holds, free, release):
        os.close(fd)
    assert len(said) == 1
    assert f"process {first}" in said[0]
    assert not labs.diff(lab)[1].operations


def test_many_at_once_end_with_one_lab(kit: Any, lab: str) -> None:
    text, failed = kit.spec(lab), []

    def work(number: int) -> None:
        try:
            for _ in range(2):
                if number % 3 == 2:
                    kit.down(lab)
                else:
                    kit.up(text)
        except NetlabError as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert not failed
    kit.up(text)
    assert not labs.diff(lab)[1].operations
    kit.down(lab)
    assert not kit.remains(lab)


def test_lost_run_state_makes_no_lab_irremovable(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab))
    shutil.rmtree(f"/run/netlab/{lab}")
    assert kit.down(lab).netns == 5
    assert not kit.remains(lab)


def test_lost_run_state_does_not_stop_up(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab))
    shutil.rmtree(f"/run/netlab/{lab}")
    kit.up(kit.spec(lab))
    assert not labs.diff(lab)[1].operations


def test_documents_that_nobody_understands_do_not_stop_down(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab))
    Path(f"/run/netlab/{lab}/documents").write_text('{"version": 2}')
    with pytest.raises(StateError, match="cannot be understood"):
        kit.up(kit.spec(lab))
    kit.down(lab)
    assert not kit.remains(lab)


def test_bad_input_leaves_no_trace(kit: Any, lab: str) -> None:
    with pytest.raises(BadInput):
        kit.up(kit.spec(lab, [("client", "nowhere")]))
    with pytest.raises(BadInput):
        labs.change(lab, delete=["x"])
    assert not kit.remains(lab)


def test_down_of_nothing_is_fine_and_leaves_no_trace(kit: Any, lab: str) -> None:
    assert not kit.down(lab).was_running
    assert not kit.remains(lab)


def test_a_node_may_take_the_name_of_a_running_pod(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, [("third", "node-1")]))
    kit.up(kit.spec(lab, [("third", "node-1"), ("other", "third")], ["node-1", "third"]))
    assert not labs.diff(lab)[1].operations
    assert kit.ping(f"{lab}-third", "10.244.1.2")  # the node reaches the Pod


def test_names_that_the_kernel_has_no_room_for(kit: Any, lab: str) -> None:
    """The longest Pod names, and nodes called like links and sysctls that are there already."""
    long = ".".join(["p" * 60] * 4)
    nodes = ["br0", "lo", "all", "default", "n" * 63, "a.b.c"]
    kit.up(kit.spec(lab, [(long, nodes[0]), ("eth0", nodes[1]), ("lo", nodes[2])], nodes))
    assert not labs.diff(lab)[1].operations
    assert kit.ping(f"{lab}-eth0", "10.244.1.2")
    assert kit.ping(f"{lab}-eth0", "10.244.3.2")
