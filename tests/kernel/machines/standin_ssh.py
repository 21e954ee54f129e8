"""A stand-in for ssh: the forwardings -L and -R as relays, and the command in a shell of this machine."""

import itertools
import socket
import subprocess
import sys
import threading


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(listener: socket.socket, port: int) -> None:
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            continue
        threading.Thread(target=pump, args=(near, far), daemon=True).start()
        threading.Thread(target=pump, args=(far, near), daemon=True).start()


if __name__ == "__main__":
    words = sys.argv[1:]
    for option, value in itertools.pairwise(words):
        if option in ("-L", "-R"):
            _, listens, _, target = value.split(":")
            listener = socket.create_server(("127.0.0.1", int(listens)))
            threading.Thread(target=relay, args=(listener, int(target)), daemon=True).start()
    raise SystemExit(subprocess.run(["sh", "-c", words[-1]], check=False).returncode)
