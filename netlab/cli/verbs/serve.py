"""``netlab serve``: the lab as a live page in a browser."""

from __future__ import annotations

import socket
import sys

import click

from netlab.cli import out
from netlab.cli.options import lab_argument, own_lab
from netlab.errors import Exit, HostCannot


@click.command()
@lab_argument
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="the page's port (default: a free one)"
)
@click.option("--host", "hosts", multiple=True, metavar="NAME",
              help="another name under which a browser reaches the page, by a forwarded port; repeatable")  # fmt: skip
@click.option("--stop", is_flag=True, help="end all pages of the lab")
def command(lab: str, lab_option: str, port: int, hosts: tuple[str, ...], stop: bool) -> int:
    """Show the lab in a browser: its picture, what differs from the lab, traces and flows by real packets.

    The command prints the page's address, which is good for one visit; the browser then has a cookie.  The page listens on
    127.0.0.1 and ends with this command (Ctrl-C), and with the lab.
    """
    from netlab.runtime.client import apiserver, pageserver
    from netlab.runtime.rootless import door

    name = own_lab(lab, lab_option)
    if stop:
        connection = pageserver.connect(name)
        if connection is None:
            out.line(f"lab {name} has no page")
        else:
            with connection:
                pageserver.stop(connection)
            out.line(f"all pages of lab {name} are closed")
        return Exit.OK
    listener = door.page_listener or _listener(port)
    apiserver.ensure(name, door.listener)
    connection = pageserver.connect(name)
    if connection is None:
        raise HostCannot(
            f"the server of lab {name} has no page", hint="`netlab down`, then `netlab up` with this netlab"
        )
    with connection, listener:
        number = listener.getsockname()[1]
        token = pageserver.opened(connection, listener, hosts)
        listener.close()
        out.line(f"http://127.0.0.1:{number}/?token={token}")
        sys.stdout.flush()
        pageserver.wait(connection)
    out.note(f"the page of lab {name} has ended")
    return Exit.OK


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        raise HostCannot(
            f"port {port} of 127.0.0.1 cannot be opened: {error.strerror}", hint="--port N takes another"
        ) from error
