"""Several labs, several users: which lab is meant, whose it is, and what is said where that is not clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel
ANNA, BERT = 1001, 1002
POD = """apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
"""


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    return path


def up(world: Any, name: str, user: int = 0) -> None:
    world(f"netlab up -f pod.yaml --name {name}", user=user)


def test_every_verb_on_a_running_lab_takes_it_by_option(world: Any, pod: Path) -> None:
    up(world, "one")
    up(world, "two")
    for words in ("reach", "check", "diff"):
        said = world(f"netlab {words}", check=2).stderr
        assert "several labs are running: one, two" in said and "--lab NAME" in said
        world(f"netlab {words} --lab two")
        world(f"netlab {words} two")
        assert "two labs are named" in world(f"netlab {words} one --lab two", check=2).stderr
    assert "lab two: no drift" in world("netlab diff", NETLAB_LAB="two").stdout
    assert "lab one: no drift" in world("netlab diff one", NETLAB_LAB="two").stdout


def test_down_takes_several_labs_and_guesses_what_was_meant(world: Any, pod: Path) -> None:
    for name in ("one", "two", "three"):
        up(world, name)
    said = world("netlab down thre").stdout
    assert said == 'lab thre is not running (did you mean "three"?)\n'
    said = world("netlab down one --lab two three").stdout
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "lab one is down",
        "lab three is down",
        "lab two is down",
    ]
    assert world("ls /run/netns").stdout == ""


def test_a_misspelt_running_lab_is_guessed(world: Any, pod: Path) -> None:
    up(world, "overlay")
    for words in ("reach ovrlay", "get pods --lab ovrlay", "diff ovrlay"):
        assert '(did you mean "overlay"?)' in world(f"netlab {words}", check=2).stderr, words


def test_down_all_removes_ones_own_and_names_the_others(world: Any, pod: Path) -> None:
    up(world, "annas", ANNA)
    up(world, "berts", BERT)
    done = world("netlab down --all", user=BERT)
    assert "lab berts is down" in done.stdout
    assert f"lab annas is user {ANNA}'s" in done.stderr
    rows = world("netlab ls").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["annas"]
    done = world("netlab down --all", user=BERT)
    assert done.stdout == "no lab of yours is running\n"
    # Named, it is refused, and the rest of the line is done all the same.
    up(world, "berts", BERT)
    done = world("netlab down annas berts", user=BERT, check=4)
    assert "lab berts is down" in done.stdout and "not yours" in done.stderr


def test_the_only_lab_that_is_mine_needs_no_name(world: Any, pod: Path) -> None:
    up(world, "annas", ANNA)
    up(world, "berts", BERT)
    assert "lab berts: no drift" in world("netlab diff", user=BERT).stdout
    up(world, "more", BERT)
    assert "several labs" in world("netlab diff", user=BERT, check=2).stderr


def test_up_of_a_name_that_another_user_has_says_what_to_do(world: Any, pod: Path) -> None:
    up(world, "shared", ANNA)
    done = world("netlab up -f pod.yaml --name shared", user=BERT, check=4)
    assert "not yours" in done.stderr and "--name NAME" in done.stderr


def test_a_lab_is_found_by_the_file_that_it_came_from(world: Any, pod: Path) -> None:
    up(world, "one")
    up(world, "two")
    (pod.parent / "other.yaml").write_text(POD)
    world("netlab up -f other.yaml")
    assert "lab other: no drift" in world("netlab diff other.yaml").stdout
    (pod.parent / "flows.yaml").write_text("default: allow\n")
    said = world("netlab check flows.yaml", check=2).stderr
    assert "no running lab came from the file flows.yaml" in said and "--expect FILE" in said


def test_up_of_a_file_says_which_manifests_beside_it_were_left_out(world: Any, pod: Path) -> None:
    (pod.parent / "lab.yaml").write_text("apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: one}\n")
    (pod.parent / "expect.yaml").write_text("default: allow\n")
    assert "not read: pod.yaml beside lab.yaml" in world("netlab up lab.yaml").stderr
    assert "not read" not in world("netlab up lab.yaml -f pod.yaml").stderr


def test_down_leaves_the_agent_of_a_namesake_in_another_mount_namespace(world: Any, pod: Path) -> None:
    """A host sees a container's processes: `down two` there stopped the agent of the container's lab `two`."""
    up(world, "two")
    elsewhere = "unshare -m --propagation private sh -c 'mount -t tmpfs t /run; netlab down two'"
    assert "lab two is not running" in world(elsewhere, check=None).stdout
    world("netlab check --lab two")
