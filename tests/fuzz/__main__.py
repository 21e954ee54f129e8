"""``invoke fuzz``: fields of every kind, by chance or all of them, for as long as asked; each fault once."""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mutations
import through


def main() -> int:
    """Exit status 1 where a case is not answered."""
    parser = argparse.ArgumentParser(prog="invoke fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    seeds = itertools.count(options.seed)
    world, end = through.world(), time.monotonic() + options.seconds
    faults: dict[str, None] = {}
    cases = accepted = 0
    while time.monotonic() < end:
        seed = next(seeds)
        for case in (*mutations.drawn(seed, 50, 1), *mutations.drawn(seed, 50, 2), *mutations.drawn(seed, 20, 3)):
            cases += 1
            try:
                accepted += through.through(case.text, world)
            except Exception as error:  # noqa: BLE001  what a user would meet is what is sought
                frame = traceback.extract_tb(error.__traceback__)[-1]
                fault = f"{type(error).__name__} {frame.filename}:{frame.lineno}"
                if fault not in faults:
                    faults[fault] = None
                    sys.stdout.write(f"{fault}: {error}\n  seed {seed}, {case.kind}: {case.what}\n")
    sys.stdout.write(f"{cases} cases from seed {options.seed}, {accepted} accepted, {len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
