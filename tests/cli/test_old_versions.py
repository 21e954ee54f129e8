"""A chart's apiVersion of yesterday: a lab, and on standard error what to write and how a chart is made to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_plan_takes_an_old_cron_job_with_one_line_that_names_the_cure(
    tmp_path: Path, netlab: Callable[..., Any]
) -> None:
    text = """\
apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: rotate}
spec:
  schedule: "@daily"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}
---
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: x}]}}}
"""
    (tmp_path / "chart.yaml").write_text(text)
    done = netlab("plan", "-f", tmp_path / "chart.yaml")
    (line,) = [one for one in done.stderr.splitlines() if "removed" in one]
    assert "chart.yaml:1:1" in line
    assert "batch/v1beta1 CronJob (removed in 1.25; write batch/v1)" in line
    assert (
        "helm template --api-versions batch/v1/CronJob --api-versions apps/v1/Deployment, or --kube-version 1.25"
        in line
    )
    assert "web-" in done.stdout
