"""``python -m netlab``."""

from netlab.cli.entry import main

main()
