"""Creation times, generations and revisions of a running lab's objects."""

from __future__ import annotations

import json
from typing import Any

from netlab.model import Memory, build
from netlab.model.ages import Age, Ages, Objects, aged
from netlab.spec import load_text
from tests.pure.model.test_controllers import template, workload

Body = dict[str, Any]
_LAB = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "t"}, "spec": {"nodes": [{"name": "node-1"}]}}


class Lab:
    """A lab that is changed at seconds 1, 2, 3 and so on."""

    def __init__(self, *documents: Body) -> None:
        self.memory, self.now, self.ages = Memory(), 0.0, {}
        self.objects = self._built(documents)

    def _built(self, documents: tuple[Body, ...]) -> Objects:
        read = load_text("\n---\n".join(map(json.dumps, (_LAB, *documents))))
        cluster = build(read, memory=self.memory).cluster
        self.memory = Memory.of(cluster)
        return Objects(read.objects, cluster)

    ages: Ages

    def change(self, *documents: Body) -> None:
        before, self.objects = self.objects, self._built(documents)
        self.now += 1
        self.ages = aged(self.ages, before, self.objects, self.now)

    def numbers(self, key: str) -> tuple[list[int], int]:
        """The earlier revisions of a workload, and the one that it has."""
        age = self.ages[key]
        return [each.number for each in age.old], age.revision


def image(name: str) -> Body:
    return template(container={"image": name})


def web(name: str, kind: str = "Deployment", **spec: Any) -> Body:
    return workload(kind, "web", image(name), **spec)


def test_what_a_lab_had_from_its_beginning_has_no_entry() -> None:
    lab = Lab(web("a"))
    lab.change(web("a"))
    assert lab.ages == {}


def test_a_new_object_and_its_pods_are_as_old_as_the_change_that_made_them() -> None:
    lab = Lab()
    lab.change(web("a", replicas=1))
    lab.change(web("a", replicas=2))
    pods = sorted(age.created for key, age in lab.ages.items() if key.startswith("Pod/"))
    assert pods == [1, 2]
    assert lab.ages["Deployment/default/web"] == Age(1, 2)
    lab.change()
    assert lab.ages == {}


def test_an_old_template_keeps_its_number_until_it_comes_back() -> None:
    key, lab = "Deployment/default/web", Lab(web("a"))
    lab.change(web("b"))
    assert lab.numbers(key) == ([1], 2)
    lab.change(web("c"))
    lab.change(web("c", replicas=3))
    assert lab.numbers(key) == ([1, 2], 3)
    lab.change(web("a", replicas=3))  # rollout undo --to-revision=1
    assert lab.numbers(key) == ([2, 3], 4)
    assert lab.ages[key].generation == 5
    assert [each.created for each in lab.ages[key].old] == [1, 2]
    name = next(each.name for each in lab.objects.cluster.made)
    assert f"ReplicaSet/default/{name}" not in lab.ages or not lab.ages[f"ReplicaSet/default/{name}"].created


def test_no_more_old_templates_stay_than_revision_history_limit_says() -> None:
    key, lab = "Deployment/default/web", Lab(web("0"))
    for number in range(1, 14):
        lab.change(web(str(number)))
    assert lab.numbers(key) == ([*range(4, 14)], 14)
    lab.change(web("13", revisionHistoryLimit=2))
    assert lab.numbers(key) == ([12, 13], 14)
    lab.change(web("13", revisionHistoryLimit=0))
    lab.change(web("14", revisionHistoryLimit=0))
    assert lab.numbers(key) == ([], 15)


def test_stateful_and_daemon_sets_have_revisions_too() -> None:
    for kind in ("StatefulSet", "DaemonSet"):
        key, lab = f"{kind}/default/web", Lab(web("a", kind))
        lab.change(web("b", kind))
        lab.change(web("a", kind))
        assert lab.numbers(key) == ([2], 3)


def test_a_paused_deployment_keeps_its_template_until_it_is_resumed() -> None:
    def images() -> set[str]:
        return {container.image for pod in lab.objects.cluster.pods for container in pod.containers}

    lab = Lab(web("a"))
    lab.change(web("a", paused=True))
    lab.change(web("b", paused=True))
    lab.change(web("c", paused=True))
    assert images() == {"a"}
    lab.change(web("c"))
    assert images() == {"c"}
    assert lab.numbers("Deployment/default/web") == ([1], 2)
