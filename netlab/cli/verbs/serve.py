"""``netlab serve``: the lab as a live page in a browser."""

from __future__ import annotations

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
@click.option("--listen", "address", default="", metavar="ADDRESS",
              help="listen on this address of the host, for other machines; needs TLS")  # fmt: skip
@click.option("--tls", is_flag=True, help="speak TLS, with a certificate that is made now")
@click.option("--tls-cert", "certificate", default="", metavar="FILE", help="speak TLS, with this certificate (PEM)")
@click.option("--tls-key", "key", default="", metavar="FILE", help="the certificate's key (default: in the same file)")
@click.option("--class", "class_name", default="", metavar="NAME", help="show how the students of a class stand")
@click.option("--stop", is_flag=True, help="end all pages of the lab")
def command(
    lab: str,
    lab_option: str,
    port: int,
    hosts: tuple[str, ...],
    address: str,
    tls: bool,
    certificate: str,
    key: str,
    class_name: str,
    stop: bool,
) -> int:
    """Show the lab in a browser: its picture, what differs from the lab, traces and flows by real packets.

    The command prints the page's address, which is good for one visit; the browser then has a cookie.  The page listens on
    127.0.0.1 and ends with this command (Ctrl-C), and with the lab.  With --listen other machines reach the page, and the
    page alone: never the lab's Kubernetes API.  Whoever has its address can run commands in the lab.

    With --class the page is the wall of a class (netlab class new), with the way to each student's own page.
    """
    from netlab.cli import pageaddress
    from netlab.runtime.client import apiserver, pageserver
    from netlab.runtime.rootless import door

    pageaddress.check(address, hosts, tls=tls, certificate=certificate, key=key)
    if class_name:
        if lab or lab_option or stop:
            raise click.UsageError("--class shows a class: give no lab and no --stop; Ctrl-C ends it")
        served = pageaddress.Served(address, hosts)
        pem = pageaddress.given(certificate, key) if certificate else served.certificate() if tls else ""
        pageaddress.become_wall(class_name, served, port, pem)
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
    served = pageaddress.Served(address, hosts)
    pem = pageaddress.given(certificate, key) if certificate else served.certificate() if tls else ""
    listener = door.page_listener or served.listener(port)
    apiserver.ensure(name, door.listener)
    connection = pageserver.connect(name)
    if connection is None:
        raise HostCannot(
            f"the server of lab {name} has no page", hint="`netlab down`, then `netlab up` with this netlab"
        )
    with connection, listener:
        number = listener.getsockname()[1]
        token = pageserver.opened(connection, listener, served.hosts, pem)
        listener.close()
        out.line(f"{'https' if pem else 'http'}://{served.shown}:{number}/?token={token}")
        if pem:
            out.note(f"SHA-256 fingerprint of the certificate: {pageaddress.fingerprint(pem)}")
        sys.stdout.flush()
        pageserver.wait(connection)
    out.note(f"the page of lab {name} has ended")
    return Exit.OK
