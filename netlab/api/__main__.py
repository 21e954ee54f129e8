"""The process of a lab's API server: ``python -m netlab.api LAB KUBECONFIG READY [LISTENER]``, started by ``runtime.client.apiserver``."""

import sys
from pathlib import Path

from netlab.api.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])))
