"""The parity tests use the kit of the kernel's tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PLACE = Path(__file__).resolve().parents[1] / "kernel" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("netlab_tests_kit", _PLACE)
assert _SPEC is not None
assert _SPEC.loader is not None
_module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_module)
kit, lab = _module.kit, _module.lab
