"""The process of a lab's API server: ``python -m netlab.api LAB READY``, started by ``runtime.client.apiserver``."""

import sys

from netlab.api.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
