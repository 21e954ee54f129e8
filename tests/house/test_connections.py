"""Nothing reports home: the modules that open connections, each with where it connects to, and no others."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Modules with a call that opens a connection or looks a name up -> to what.
CONNECTS = {
    "netlab/api/forward.py": "a port of a Pod, in its namespace, for kubectl port-forward",
    "netlab/observe/lookup.py": "the lab's DNS server, in a Pod's namespace",
    "netlab/observe/sctp.py": "a target of a probe, in the source's namespace",
    "netlab/observe/tcp.py": "a target of a probe, in the source's namespace",
    "netlab/observe/trace/crafted.py": "a target of a trace, in the source's namespace",
    "netlab/observe/trace/probes.py": "a target of a trace, in the source's namespace",
    "netlab/observe/udp.py": "a target of a probe, in the source's namespace",
    "netlab/runtime/agent/containers/daemons.py": "the lab's API server, on the loopback of the node's daemons",
    "netlab/runtime/agent/probing/attempts.py": "a container's port, in its Pod's namespace",
    "netlab/runtime/agent/probing/dial.py": "a container's port, in its Pod's namespace",
    "netlab/runtime/client/agnhost.py": "a target of /agnhost connect, in a Pod's namespaces",
    "netlab/runtime/client/agentclient.py": "the lab's agent, a socket in /run/netlab",
    "netlab/runtime/client/pageserver.py": "the lab's server, a socket in the lab's run state",
    "netlab/runtime/commandserver.py": "the lab's command server, a socket in /run/netlab",
    "netlab/runtime/machines/shares.py": "a machine that the user named: no packet, its route's MTU is read",
    "netlab/runtime/rootless/door.py": "the process that holds the user's labs, an abstract socket",
}
#: Imports of libraries that speak to servers of the internet.
_CLIENT = re.compile(
    r"^\s*(?:import|from) (?:urllib\.request|http\.client|ftplib|smtplib|imaplib|poplib|xmlrpc|requests)\b"
    r"|aiohttp\.ClientSession"
    r"|^\s*from (?:urllib import request|http import client)\b",
    re.MULTILINE,
)
_CALL = re.compile(r"(?<!agentclient)(?<!pageserver)\.connect(_ex)?\(|create_connection\(|getaddrinfo\(|gethostbyname")


def sources() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "netlab").rglob("*.py"))}


def test_modules_that_open_connections_are_listed() -> None:
    opening = {name for name, text in sources().items() if _CALL.search(text)}
    assert opening == CONNECTS.keys(), "name in CONNECTS where the connection goes; nothing may leave the lab"


def test_no_module_imports_a_client_of_the_internet() -> None:
    assert not [name for name, text in sources().items() if _CLIENT.search(text)]
    assert _CLIENT.search("import os\n    from urllib import request\n") and _CLIENT.search("import http.client")


def test_no_frame_of_a_test_is_made_without_its_addresses() -> None:
    """Scapy sends ARP requests into the host's network for the MAC of a frame that has an IP packet and no ``dst``."""
    every = [
        path
        for folder in ("netlab", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__).resolve()
    ]
    bare = re.compile(r"(?<![\w'\"])Ether\(\)")
    assert not [str(path.relative_to(ROOT)) for path in every if bare.search(path.read_text())]
    assert bare.search("read(Ether() / IP())")
