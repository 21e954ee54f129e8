"""``netlab`` as a page's shell calls it: ``forked.py PATH WORDS...`` has tests/forks.py run the command in a fork.

Only builtin modules are imported, so that a command costs little more than Python's start.  The command is a process of
its own all the same where nobody answers at PATH, or where namespaces or user are not those of who answers.
"""

import _signal
import _socket
import os
import sys
from _json import encode_basestring_ascii as quoted

SPACES = ("mnt", "net", "pid", "user")


def _spaces(process):
    return [os.stat(f"/proc/{process}/ns/{name}").st_ino for name in SPACES]


def _connected(path):
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        sock.connect(path)
        peer = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        pid, uid = (int.from_bytes(peer[at : at + 4], sys.byteorder) for at in (0, 4))
        return sock if uid == os.getuid() and _spaces(pid) == _spaces("self") else None
    except OSError:
        return None


def main():
    """Leave with the exit status of the command."""
    path, *words = sys.argv[1:]
    sock = _connected(path)
    if sock is None:
        os.execv(sys.executable, [sys.executable, "-m", "netlab", *words])
    env = ",".join(f"{quoted(name)}:{quoted(value)}" for name, value in os.environ.items())
    asked = f'{{"argv":[{",".join(map(quoted, words))}],"cwd":{quoted(os.getcwd())},"env":{{{env}}}}}'
    fds = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
    sock.sendmsg([asked.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
    pid = int.from_bytes(sock.recv(4), "little")
    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, lambda number, _frame: os.kill(pid, number))
    status = int.from_bytes(sock.recv(4), "little", signed=True)
    if status < 0:
        _signal.signal(-status, _signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
