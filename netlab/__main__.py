"""``python -m netlab``."""

from netlab.cli.door import main

main()
