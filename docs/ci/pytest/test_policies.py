"""The policies of manifests/ are tests: `pytest` as root sends packets, `pytest --netlab-predict` predicts."""

import pytest


@pytest.fixture
def lab(netlab_lab):
    return netlab_lab("manifests/")


def test_web_reaches_its_database(lab):
    lab.assert_allowed("deploy/web.shop", "shop/app=db", 5432)
    lab.assert_allowed("deploy/web.shop", "svc/db.shop", "sql")


def test_nobody_else_reaches_the_database(lab):
    lab.assert_denied("deploy/report.shop", "svc/db.shop", 5432)
    lab.assert_denied("external/internet", "shop/app=db", 5432)


def test_every_client_of_every_port(lab):
    lab.assert_matrix(
        {
            "shop/app=db:sql": ["deploy/web.shop"],
            "shop/app=db:metrics": [],
            "deploy/web.shop:http": "*",
            "deploy/report.shop:http": "*",
        }
    )


def test_a_lab_of_a_text(netlab_lab):
    lab = netlab_lab(
        """
        {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {containers: [{name: c, image: x}]}}
        """
    )
    lab.assert_allowed("b", "a", 80)
