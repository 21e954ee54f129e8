"""The process of a lab's API server: ``python -m netlab.api LAB KUBECONFIG READY [LISTENER]``, started by ``runtime.client.apiserver``.

The first client waits for it, so openssl makes the certificates while Python imports the server.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from netlab.api.spawn import Spawner
from netlab.api.tls import certificates

_TRUSTED = "SSL_CERT_FILE"

if __name__ == "__main__":
    os.chdir("/")  # the caller's folder must not be kept busy
    _ready = int(sys.argv[3])
    _spawner = Spawner(_ready)  # before any thread
    with ThreadPoolExecutor(1) as _pool:
        _made = _pool.submit(certificates)
        _own = os.environ.get(_TRUSTED)
        os.environ[_TRUSTED] = (
            os.devnull
        )  # aiohttp would read the host's authorities, for clients that there are none of
        from netlab.api.server import main

        os.environ.pop(_TRUSTED)
        if _own is not None:
            os.environ[_TRUSTED] = _own
        sys.exit(main(sys.argv[1], Path(sys.argv[2]), _ready, _spawner, _made, *map(int, sys.argv[4:])))
