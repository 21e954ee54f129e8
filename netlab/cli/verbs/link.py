"""``netlab link``: impair the links of a running lab, kept by ``runtime.lab.change``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import click

from netlab.cli import out
from netlab.cli.options import lab, output, own_lab
from netlab.errors import BadInput

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.model.cluster.impairments import Link

_OPTIONS = {
    "delay": ("TIME", "delay each packet: 20ms"),
    "jitter": ("TIME", "vary the delay by up to TIME"),
    "loss": ("PERCENT", "lose packets: 1%"),
    "rate": ("RATE", "limit the bandwidth: 10mbit"),
    "duplicate": ("PERCENT", "send packets twice"),
    "reorder": ("PERCENT", "send packets before those that wait"),
    "corrupt": ("PERCENT", "change a bit of packets"),
}


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, (metavar, text) in reversed(_OPTIONS.items()):
        function = click.option(f"--{name}", metavar=metavar, help=text)(function)
    return function


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME [NAME]]")
@_options
@click.option("--from", "sender", default="", metavar="NAME", help="impair only what this end of the link sends")
@click.option("--clear", is_flag=True, help="end all impairments of the link")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the Pods")
@lab
@output
def command(
    names: tuple[str, ...],
    sender: str,
    clear: bool,
    namespace: str,
    lab_option: str,
    output: str,
    **options: str | None,
) -> None:
    """Delay, lose or slow down what passes a link of a running lab; without options show the impaired links.

    NAME is a node, a Pod, an external host or a rack, and means its own link: that of a node leads to the underlay, that
    of a Pod to its node.  Two NAMEs are the two ends.  Each end impairs what it sends, so a ping over the link is
    delayed twice.  The options replace all impairments that the link has, also those of the lab file.  up keeps them;
    up --reset restores those of the lab file.
    """
    from netlab.model.cluster.impairments import DOWN, UP, key, read_options
    from netlab.runtime.lab import change
    from netlab.runtime.state.running import load_cluster

    given = {name: text for name, text in options.items() if text is not None}
    changing = bool(given) or clear
    name = own_lab(lab_option)
    cluster = load_cluster(name)
    links = _links(cluster, names, namespace) if names else []
    if given and clear:
        raise BadInput("--clear ends all impairments: use it without the other options")
    if sender and not changing:
        raise BadInput(
            "--from needs an impairment, or --clear", hint=f"netlab link {' '.join(names) or 'node-1'} --delay 20ms"
        )
    if not changing:
        _show(name, cluster, links, output, changed=0)
        return
    if not links:
        raise BadInput("which link?", hint="netlab link node-1 --delay 20ms")
    read_options(given)
    wanted = {
        key(link, direction): given
        for link in links
        for direction in (UP, DOWN)
        if not sender or direction == _direction(link, sender)
    }
    done = change(name, link=wanted, say=out.note)
    _show(name, done.lab.cluster, links, output, changed=done.changed)


def _links(cluster: Cluster, names: tuple[str, ...], namespace: str) -> list[Link]:
    """The links of the words; those of all Pods of a workload."""
    from netlab.model.cluster.impairments import UNDERLAY
    from netlab.model.topology.links import links

    if len(names) > 2:
        raise BadInput("a link has two ends", hint="netlab link node-1 underlay --delay 20ms")
    if set(names) == {UNDERLAY}:
        raise BadInput("the underlay has many links: name the other end", hint="netlab link node-1 underlay")
    by_netns = {link.netns: link for link in links(cluster)}
    for lower, *upper in (names, names[::-1]):
        there = _own(cluster, by_netns, lower, namespace) if lower != UNDERLAY else []
        if fitting := [link for link in there if not upper or upper[0] in link.upper]:
            return fitting
    raise BadInput(f"{' and '.join(names)} have no link in common")


def _own(cluster: Cluster, by_netns: Mapping[str, Link], word: str, namespace: str) -> list[Link]:
    """The links of which a word means the lower end."""
    from netlab.cli.places import netnses

    inside = {pod.netns for pod in cluster.pods if pod.host_network and word in (pod.name, str(pod))}
    there = [netns for netns in netnses(cluster, word, namespace) if netns not in inside]
    if not there:
        raise BadInput(f"Pod {word} is in its node's network (hostNetwork) and has no link of its own")
    return [by_netns[netns] for netns in there if netns in by_netns]


def _direction(link: Link, sender: str) -> str:
    from netlab.model.cluster.impairments import DOWN, UP

    if sender in (link.lower, link.key.partition("/")[2]):
        return UP
    if sender in link.upper:
        return DOWN
    raise BadInput(f'"{sender}" is no end of the link: its ends are {link.title}')


def _show(lab: str, cluster: Cluster, links: Collection[Link], output: str, *, changed: int) -> None:
    """The impairments of these links; of all where there are none."""
    rows = [each for each in cluster.impairments if not links or each.link in links]
    if output == "json":
        from netlab.output.changes import ImpairedLink, Links

        out.document(
            Links(
                lab=lab,
                changed=changed,
                links=tuple(
                    ImpairedLink(
                        between=(each.link.lower, each.link.upper[0]),
                        sender=each.link.sender(each.direction),
                        impairments=each.values.texts(),
                        source=str(each.mark) if each.mark else None,
                    )
                    for each in rows
                ),
            )
        )
    elif rows:
        out.table(
            [
                (
                    each.link.title,
                    each.link.sender(each.direction),
                    str(each.values),
                    str(each.mark) if each.mark else "netlab link",
                )
                for each in rows
            ],
            ("LINK", "SENDER", "IMPAIRMENTS", "SET BY"),
        )
    for link in links:
        if all(each.link != link for each in rows) and output != "json":
            out.line(f"the link between {link.title} is not impaired")
    if not links and not rows and output != "json":
        out.line(f"no link of lab {lab} is impaired")
