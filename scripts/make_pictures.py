"""Makes the pictures of README, docs and labs: labs/NAME/topology.svg, and those of recorded documents in docs/pictures.

    python scripts/make_pictures.py            # writes the files
    python scripts/make_pictures.py --check    # exit 1 if a file is not what this would write

docs/pictures/NAME.trace.json and NAME.reach.json are documents of ``netlab trace`` and ``netlab reach -o json`` in a
shipped lab, labs/NAME/frame.hex is a captured frame.  Recorded, so that the same picture comes again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from netlab.graph.topology import graph
from netlab.model import build
from netlab.output.flows import Reach
from netlab.output.graph import Graph
from netlab.output.trace import Trace
from netlab.picture.bytemap import bytemap
from netlab.picture.layout import picture
from netlab.picture.matrix import matrix
from netlab.picture.svg import render
from netlab.picture.walk import walk
from netlab.plain import load
from netlab.plan import check, desired
from netlab.spec import Text, load_texts

ROOT = Path(__file__).resolve().parent.parent
_NO_MANIFESTS = ("expect.yaml", "exercise.yaml")


def _topology(folder: Path) -> Graph:
    files = [file for file in sorted(folder.glob("*.yaml")) if file.name not in _NO_MANIFESTS]
    cluster = build(load_texts([Text(file.name, file.read_text()) for file in files]), check=check).cluster
    return graph(cluster, desired(cluster))


def pictures() -> Iterator[tuple[Path, str]]:
    """Each file and its content."""
    for lab in sorted(path.parent for path in ROOT.glob("labs/*/lab.yaml")):
        yield lab / "topology.svg", render(picture(_topology(lab)))
    for file in sorted(ROOT.glob("docs/pictures/*.trace.json")):
        trace = load(Trace, json.loads(file.read_text()))
        yield file.with_suffix("").with_suffix(".svg"), render(walk(_topology(ROOT / "labs" / trace.lab), trace))
    for file in sorted(ROOT.glob("docs/pictures/*.reach.json")):
        yield file.with_suffix("").with_suffix(".svg"), render(matrix(load(Reach, json.loads(file.read_text()))))
    for file in sorted(ROOT.glob("labs/*/frame.hex")):
        frame = bytes.fromhex(file.read_text())
        yield file.with_name("bytes.svg"), render(bytemap(frame, "An echo request in VXLAN, byte by byte"))


def main() -> int:
    """Write the pictures, or compare them."""
    stale = [(file, text) for file, text in pictures() if not file.exists() or file.read_text() != text]
    for file, text in stale:
        print(file.relative_to(ROOT))
        if "--check" not in sys.argv:
            file.write_text(text)
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
