"""Whose files a lab's own programs must be, and from where a Lab may name them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.errors import BadInput, Mark
from netlab.runtime.host import trust
from netlab.runtime.state.rundir import Applied

ME, OTHER = os.geteuid(), 12345


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab's folder with a folder of plugins."""
    (tmp_path / "cni" / "bin").mkdir(parents=True)
    for file in ("lab.yaml", "cni/net.conflist", "cni/bin/plugin"):
        (tmp_path / file).write_text("")
        (tmp_path / file).chmod(0o644)
    return tmp_path


def programs(lab: Path, file: str = "") -> list[trust.Program]:
    return [trust.Program(str(lab / "cni"), "spec.dataplane.cni", Mark(file or str(lab / "lab.yaml"), 6, 14))]


def refused(applied: Applied, wanted: list[trust.Program], owner: int = ME) -> str:
    with pytest.raises(BadInput) as error:
        trust.require(applied, wanted, owner)
    assert error.value.status == 2
    return error.value.message


@pytest.mark.parametrize("source", ["", "lab.yaml"])
def test_a_lab_of_its_owner_named_on_the_command_line_may_name_programs(lab: Path, source: str) -> None:
    trust.require(Applied(str(lab / source)), programs(lab), ME)


def test_standard_input_may_not_name_programs(lab: Path) -> None:
    assert "a Lab from standard input may not name programs" in refused(Applied("-"), programs(lab, "<stdin>"))


def test_a_lab_of_another_folder_than_the_named_one_may_not_name_programs(lab: Path, tmp_path: Path) -> None:
    message = refused(Applied(str(tmp_path / "cni")), programs(lab))
    assert message.startswith(f"{lab}/lab.yaml:6:14: spec.dataplane.cni: the lab was brought up from {tmp_path}/cni")


@pytest.mark.parametrize("file", ["lab.yaml", "cni", "cni/bin", "cni/bin/plugin", "cni/net.conflist", "."])
def test_files_that_others_may_change_are_refused_by_name(lab: Path, file: str) -> None:
    (lab / file).chmod(0o777 if (lab / file).is_dir() else 0o666)
    assert f"{lab / file} can be changed by every user: chmod go-w" in refused(Applied(str(lab)), programs(lab))


@pytest.mark.skipif(ME != 0, reason="only root gives files away")
def test_a_group_of_others_may_not_change_a_file_and_the_owners_own_group_may(lab: Path) -> None:
    (lab / "cni").chmod(0o775)
    trust.require(Applied(str(lab)), programs(lab), ME)  # root's own group
    os.chown(lab / "cni", 0, OTHER)
    assert f"{lab / 'cni'} can be changed by group {OTHER}" in refused(Applied(str(lab)), programs(lab))


@pytest.mark.skipif(ME != 0, reason="only root gives files away")
@pytest.mark.parametrize("file", ["lab.yaml", "cni", "cni/bin/plugin"])
def test_files_of_another_user_are_refused_and_those_of_the_owner_are_not(lab: Path, file: str) -> None:
    os.chown(lab / file, OTHER, -1)
    assert f"{lab / file} belongs to user {OTHER}" in refused(Applied(str(lab)), programs(lab))
    trust.require(Applied(str(lab)), programs(lab), OTHER)


@pytest.mark.skipif(ME != 0, reason="only root gives files away")
def test_a_link_of_another_user_in_a_folder_of_everybody_is_refused(lab: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "link").symlink_to(lab / "cni")
    program = trust.Program(str(shared / "link"), "spec.dataplane.cni", Mark(str(lab / "lab.yaml"), 6, 14))
    trust.require(Applied(str(lab)), [program], ME)
    os.lchown(shared / "link", OTHER, -1)
    assert f"{shared}/link belongs to user {OTHER}" in refused(Applied(str(lab)), [program])


def test_a_program_that_is_not_there_is_named(lab: Path) -> None:
    (lab / "cni" / "bin" / "gone").symlink_to(lab / "nowhere")
    assert f"{lab}/nowhere: No such file or directory" in refused(Applied(str(lab)), programs(lab))


def test_where_no_programs_run_a_lab_that_names_them_is_refused_with_its_place(lab: Path) -> None:
    trust.refuse([], "netlab test")
    with pytest.raises(BadInput, match=r"lab\.yaml:6:14: spec\.dataplane\.cni: netlab test runs no programs"):
        trust.refuse(programs(lab), "netlab test")
