"""What ``apply`` refuses of a Service that is there: its families and addresses stay."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.model.updates import refused
from netlab.spec import Document
from tests.pure.services.test_model import built, pod, service

DUAL = {"ipFamilies": ["IPv4", "IPv6"]}
FIRST, SECOND = "10.96.7.7", "fd00:10:96::77"
OWN = {"ipFamilyPolicy": "RequireDualStack", "clusterIP": FIRST, "clusterIPs": [FIRST, SECOND]}


def document(**spec: Any) -> Document:
    body = service("web", **spec)
    made = built(body, pod("web"), **DUAL).cluster.services[0].mark
    assert made is not None
    return Document("v1", "Service", "default", "web", body, made)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clusterIPs": [FIRST, "fd00:10:96::78"]}, ["spec.clusterIPs"]),
        ({"ipFamilies": ["IPv6", "IPv4"], "clusterIP": SECOND, "clusterIPs": [SECOND, FIRST]},
         ["spec.ipFamilies", "spec.clusterIPs", "spec.clusterIP"]),
        ({}, []),
        ({"ipFamilies": ["IPv4"], "clusterIPs": [FIRST], "ipFamilyPolicy": "SingleStack"}, []),
    ],
)  # fmt: skip
def test_the_families_and_addresses_of_a_service_stay(change: dict[str, Any], said: list[str]) -> None:
    cluster = built(service("web", **OWN), pod("web"), **DUAL).cluster
    before, after = document(**OWN), document(**{**OWN, **change})
    assert [one.path for one in refused([after], [before], cluster)] == said
