"""Six steps with an operator of ``kopf``: its handlers of create, update and delete, its finalizer and an event."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from steps import step

HERE = Path(__file__).resolve().parent
kopf = [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default", str(HERE / "operator_kopf.py")]
seen = Path("kopf.out")


def kubectl(line: str) -> str:
    return subprocess.run(["kubectl", *line.split()], capture_output=True, text=True, check=True, timeout=60).stdout


def until(true: Callable[[], object]) -> bool:
    end = time.monotonic() + 60
    while not (done := bool(true())) and time.monotonic() < end:
        time.sleep(0.1)
    return done


def handled(text: str) -> bool:
    return until(lambda: f"HANDLER {text}\n" in seen.read_text())


def metadata() -> dict[str, object]:
    return json.loads(kubectl("get pod w -o json"))["metadata"]


def removed() -> bool:
    kubectl("delete pod w --now")  # ends when the operator has taken its finalizer away
    return handled("delete w")


def updated() -> bool:
    until(lambda: "kopf.zalando.org/last-handled-configuration" in metadata().get("annotations", {}))
    kubectl("annotate pod w note=1")
    return handled("update w")


with seen.open("w") as output:
    operator = subprocess.Popen(kopf, stdout=output, stderr=subprocess.STDOUT)
try:
    kubectl("run w --image=busybox --labels=watched=yes --command -- sleep 1000")
    step("create", lambda: handled("create w"))
    step("label by the handler", lambda: until(lambda: metadata()["labels"].get("seen") == "yes"))
    step("finalizer", lambda: until(lambda: metadata().get("finalizers")))
    step("update", updated)
    step("delete", removed)
    subprocess.run(["kubectl", "apply", "-f", str(HERE / "inputs" / "pol.yaml")], capture_output=True, check=True)
    step("event", lambda: handled("event only-client"))
finally:
    operator.terminate()
    operator.wait()
