"""Steps of a client library, each printed as a line of JSON.  It runs with the library's own Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable


def step(name: str, does: Callable[[], object]) -> None:
    """Run a step: it fails where it raises, or returns something false that is not None."""
    try:
        result = does()
        passed, text = result is None or bool(result), str(result)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is the result
        passed, text = False, f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps({"name": name, "passed": passed, "text": " ".join(text.split())[:400]}) + "\n")
    sys.stdout.flush()
