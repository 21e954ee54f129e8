"""The objects that ``delete -f`` means, by kind and name alone, whatever else is in them."""

from __future__ import annotations

import pytest

from netlab.spec import Text
from netlab.spec.names import names


def test_an_object_of_an_old_version_is_the_one_of_today() -> None:
    text = "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: web}\n"
    assert names([Text("a.yaml", text)], "shop") == (["apps/Deployment/shop/web"], [])


def test_null_items_of_a_list_and_empty_documents_are_nothing() -> None:
    text = "---\n---\napiVersion: v1\nkind: List\nitems: [null, {apiVersion: v1, kind: Pod, metadata: {name: a}}]\n"
    assert names([Text("a.yaml", text)], "default") == (["/Pod/default/a"], [])


@pytest.mark.parametrize("text", ["&a {<<: *a}", "&a {apiVersion: v1, kind: Pod, metadata: *a}", "{apiVersion: [], kind: {}, metadata: x}", "a: b: c", "\0"])  # fmt: skip
def test_what_cannot_be_read_is_a_problem_with_its_place(text: str) -> None:
    found, problems = names([Text("a.yaml", text)], "default")
    assert not found
    assert problems
    assert all(one.mark and one.mark.file == "a.yaml" for one in problems)
