"""The lookup of a target's name as the first leg of a trace: its lines, and the findings about it.

A name server that is dead or wrong is the cause of what a client sees, whatever became of a packet to the address that
was meant.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import address_owner, namespace_target
from netlab.diagnose.story import Story
from netlab.evidence.records import IN_VIEW, Lookup, Query
from netlab.model import Pod
from netlab.model.services.system import DOMAIN
from netlab.near import near
from netlab.objects import File, Key
from netlab.objects.base import Floor
from netlab.oracle.names import by_dns

WRONG = "wrong-answer"  # kind of a finding
_DEAD = ("silent", "closed", "unreachable")
_WORDS = {
    "found": "", "nodata": "no such record", "nxdomain": "NXDOMAIN", "servfail": "SERVFAIL", "refused": "REFUSED",
    "closed": "no process listens", "unreachable": "unreachable", "silent": "no reply", "garbled": "no DNS message",
    "invalid": "no name of DNS, so it is not sent",
}  # fmt: skip


def of(story: Story) -> Lookup | None:
    """The lookup of the target's name, if a name was given."""
    return story.recording.lookups[-1] if story.recording.lookups else None


def unresolved(story: Story) -> Lookup | None:
    """The lookup, if it has no address."""
    lookup = of(story)
    return lookup if lookup is not None and not lookup.addresses else None


def failure(lookup: Lookup) -> str:
    """Why a lookup has no address, in a word."""
    return _WORDS[lookup.queries[-1].outcome] if lookup.queries else "NXDOMAIN"


# -- text -------------------------------------------------------------------------------------------------------------


def lines(story: Story, width: int) -> Iterator[str]:
    """The lookup, query by query."""
    lookup = of(story)
    if lookup is None:
        return
    search = f"; search {' '.join(lookup.searches)}" if lookup.searches else ""
    head = f"lookup of {lookup.name} in {_sender(story, lookup)}, by {'its hosts file' if lookup.hosts else lookup.file}{search}"
    yield from textwrap.wrap(head, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    if lookup.hosts:
        yield f"  {lookup.name}: {', '.join(lookup.addresses)}"
    for query in lookup.queries:
        yield f"  {query.server}  {query.type} {query.name}: {_result(query)}"
    yield ""


def _result(query: Query) -> str:
    aliases = "".join(f"{alias} " for alias in query.aliases)
    result = f"{aliases}{', '.join(query.addresses)}" or _WORDS[query.outcome]
    return f"{result} after {query.elapsed / 1e6:.1f} ms"


def headline(story: Story, lookup: Lookup) -> str:
    """The result of a trace whose target's name was not resolved."""
    shown = "" if story.answered else "; the query to the name server is shown"
    return f"{_sender(story, lookup)} -> {lookup.name}: the name was not resolved ({failure(lookup)}){shown}"


# -- findings ---------------------------------------------------------------------------------------------------------


def findings(story: Story) -> Iterator[Finding]:
    """What is wrong with the lookup: first resolv.conf, then the name servers, then their answers."""
    lookup = of(story)
    if lookup is None:
        return
    wanted = meant(story, lookup)
    wrong = bool(lookup.addresses and wanted) and not wanted & set(lookup.addresses)
    if not lookup.addresses or wrong:
        yield from _file(story, lookup)
    if not lookup.addresses:
        yield _failed(story, lookup, wanted)
        return
    if wrong:
        yield _wrong(story, lookup, wanted)
    if dead := list(dict.fromkeys(query.server for query in lookup.queries if query.outcome in _DEAD)):
        message = (
            f"{_server(story, dead[0])}, which {lookup.file} names first, did not reply; "
            f"{lookup.queries[-1].server} did, and each lookup waits for the first"
        )
        yield Finding("nameserver", message, lookup.netns, look=_look(story, lookup))


def _folder(lookup: Lookup) -> str:
    """The folder below /etc/netns of the sender's files; that of a Pod in its node's network is its own."""
    return lookup.netns if lookup.file == IN_VIEW else lookup.file.split("/")[-2]


def _pod(story: Story, lookup: Lookup) -> Pod | None:
    folder = _folder(lookup)
    return next((pod for pod in story.cluster.pods if pod.etc == folder), None)


def _sender(story: Story, lookup: Lookup) -> str:
    return str(_pod(story, lookup) or story.flow.src.name)


def meant(story: Story, lookup: Lookup) -> set[str]:
    """The addresses that the lab's objects give the name."""
    pod = _pod(story, lookup)
    namespace = pod.namespace if pod else "default"
    ends = by_dns(story.endpoints, lookup.name, namespace, client=pod).ends
    return {address for end in ends for address in end.addresses}


def _file(story: Story, lookup: Lookup) -> Iterator[Finding]:
    """The sender's resolv.conf is not that of the lab."""
    wanted = _wanted(story, lookup, "resolv.conf")
    if wanted is None or wanted.content == lookup.text:
        return
    theirs, ours = _changed(lookup.text, wanted.content)
    message = (
        f"{lookup.file} of {_sender(story, lookup)} is not that of the lab: it has {theirs}, and should have {ours}"
    )
    mend = tuple(wanted.explain().splitlines()) if lookup.file == wanted.path else ()
    look = (f"netlab exec {namespace_target(story, lookup.netns)} -- cat /etc/resolv.conf",)
    yield Finding("resolv-conf", message, lookup.netns, look=look, mark=wanted.why.mark, root=True, mend=mend)


def _wanted(story: Story, lookup: Lookup, name: str) -> File | None:
    """A file of the sender's /etc as the lab has it."""
    wanted = story.want.get(Key(Floor.FILE, _folder(lookup), name))
    return wanted if isinstance(wanted, File) else None


def _changed(text: str, wanted: str) -> tuple[str, str]:
    """The lines in which two files differ."""
    there, should = text.splitlines(), wanted.splitlines()
    theirs = [line for line in there if line not in should]
    ours = [line for line in should if line not in there]
    return ", ".join(theirs) or "fewer lines", ", ".join(ours) or "no more"


def _failed(story: Story, lookup: Lookup, wanted: set[str]) -> Finding:
    last = lookup.queries[-1].outcome if lookup.queries else "nxdomain"
    look = _look(story, lookup)
    if last in _DEAD:
        asked = dict.fromkeys(query.server for query in lookup.queries)
        if not lookup.servers:
            message = f"{lookup.file} names no name server, so the C library asks {lookup.queries[-1].server}"
        else:
            servers = ", ".join(_server(story, server) for server in asked)
            message = f"{servers}: {_WORDS[last]}, so {lookup.name} was not resolved"
        return Finding("nameserver", message, lookup.netns, look=look, root=True)
    if last == "invalid":
        message = f"{lookup.name} is no name of DNS: a label has 1 to 63 characters, a name at most 253"
        return Finding("no-name", message, lookup.netns)
    if last not in ("nxdomain", "nodata"):
        message = f"{_server(story, lookup.queries[-1].server)} replied {_WORDS[last]} and no address of {lookup.name}"
        return Finding("nameserver", message, lookup.netns, look=look, root=True)
    names = list(dict.fromkeys(query.name for query in lookup.queries)) or [lookup.name]
    tried = (
        f"no name of the search list exists ({', '.join(names)})" if len(names) > 1 else f"{names[0]} does not exist"
    )
    server = f" for {_server(story, lookup.queries[-1].server)}" if lookup.queries else ""
    message = f"{lookup.name} was not resolved: {tried}{server}"
    if wanted:
        address = min(wanted)
        message += f"; in this lab it is {address} ({address_owner(story, address)})"
    else:
        services = [f"{service.name}.{service.namespace}" for service in story.cluster.services]
        message += (
            f"; {lookup.name}.svc.{DOMAIN} is a Service, and the search list does not lead there"
            if lookup.name in services
            else near(lookup.name, [*services, *(f"{name}.svc.{DOMAIN}" for name in services)])
        )
    return Finding("no-name", message, lookup.netns, look=look, root=bool(wanted))


def _wrong(story: Story, lookup: Lookup, wanted: set[str]) -> Finding:
    by = "its hosts file" if lookup.hosts else _server(story, lookup.queries[-1].server)
    got, should = lookup.addresses[0], min(wanted)
    message = (
        f"{lookup.name} is {got} ({address_owner(story, got)}) by {by}, "
        f"but in this lab it is {should} ({address_owner(story, should)})"
    )
    hosts = _wanted(story, lookup, "hosts") if lookup.hosts and lookup.file != IN_VIEW else None
    mend = tuple(hosts.explain().splitlines()) if hosts else ()
    return Finding(WRONG, message, lookup.netns, look=_look(story, lookup), root=True, mend=mend)


def _server(story: Story, address: str) -> str:
    return f"name server {address} ({address_owner(story, address)})"


def _look(story: Story, lookup: Lookup) -> tuple[str, ...]:
    sender = namespace_target(story, lookup.netns)
    return (f"netlab exec {sender} -- nslookup {lookup.name}",)
