"""``python -m netlab.runtime.agent``, or this file run as a script by an interpreter without site-packages."""

import sys

if not __package__:  # run by its path: -I and -S leave the interpreter with the standard library alone
    sys.path.append(__file__.rsplit("/", 4)[0])

from netlab.runtime.agent.main import main

sys.exit(main(sys.argv[1:]))
