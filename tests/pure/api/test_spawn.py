"""The process that starts the commands of clients, on a host that starts no more."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

from netlab.api.spawn import Order

NO_PROCESSES = """
import os, socket, sys
from netlab.api import spawn
def refuse(): raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = refuse
spawn._serve(socket.socket(fileno=int(sys.argv[1])))
"""


def test_a_command_that_cannot_be_started_ends_with_a_sentence_and_the_next_is_tried() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = [sys.executable, "-c", NO_PROCESSES, str(theirs.fileno())]
    with ours, theirs, subprocess.Popen(line, pass_fds=[theirs.fileno()]) as process:
        for _ in range(2):
            (words, errors), (status, report) = os.pipe(), os.pipe()
            order = [json.dumps(Order("lab", verb=("ls",))._asdict()).encode()]
            socket.send_fds(ours, order, [errors, errors, errors, report])
            os.close(errors)
            os.close(report)
            with open(words) as said, open(status) as ended:
                assert said.read() == "netlab: this host starts no more processes: Resource temporarily unavailable\n"
                assert ended.read().splitlines()[1] == "126"
        ours.shutdown(socket.SHUT_RDWR)
        assert process.wait(30) == 0
