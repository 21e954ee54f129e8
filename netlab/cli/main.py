"""The console command ``netlab``: finds the verb, and turns errors into sentences and exit statuses."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from netlab import __version__
from netlab.cli import out
from netlab.cli.helptext import VERBS, begin, usual, whole
from netlab.errors import (
    EXHAUSTED,
    Exit,
    HostCannot,
    NeedsRoot,
    NetlabError,
    StateError,
    WithoutRoot,
    exhausted,
)
from netlab.near import near
from netlab.runtime import commandserver
from netlab.runtime.state.sudo import maps_all_users

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_COMPLETING = "_NETLAB_COMPLETE"  # click's own variable: a shell asks for what could come next


class Verbs(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, group by group."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        if cmd_name not in VERBS:
            return None
        command = import_module(f"netlab.cli.verbs.{cmd_name}").command
        assert isinstance(command, click.Command)
        if command.help:  # docstrings are raw; click's mark for "do not fill these lines" is the character itself
            command.help = command.help.replace("\\b\n", "\b\n")
        command.format_epilog = partial(_write_examples, cmd_name)  # type: ignore[method-assign]
        if _COMPLETING in os.environ:
            from netlab.cli.complete import teach

            return teach(cmd_name, command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs, without importing any; a word that begins with - is left to click."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=message) for name, message in VERBS.items() if name.startswith(incomplete)]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The page of the usual verbs, without importing any."""
        formatter.write("\n".join(usual()) + "\n")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As in click; the error for an unknown verb has a guess."""
        if args and args[0] == "help":  # as with git and kubectl: `help up` is `up --help`
            args = [*args[1:2], "--help"]
            if args[0] in {"--all", "--help"}:
                click.echo("\n".join(usual() if args[0] == "--help" else whole()))
                ctx.exit()
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f'there is no verb "{args[0]}"{near(args[0], VERBS)}')
        return super().resolve_command(ctx, args)


def _write_examples(verb: str, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The last part of a verb's help, as kubectl has it."""
    from netlab.cli.examples import lines

    with formatter.section("Examples"):
        for line, text in lines(verb):
            formatter.write(f"  # {text}\n  {line}\n")


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="netlab")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """netlab builds a small Kubernetes network from nothing but the Linux kernel."""
    if ctx.invoked_subcommand is None:
        click.echo("\n".join(begin(out.command())))


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit status."""
    code = run(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    commandserver.stay(run)
    # Not sys.exit: joining idle threads and freeing a large heap would cost tens of milliseconds.
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Run the command line; its exit status, everything said.  May be called once more in a fork of this process."""
    # A large lab is 100,000 small objects that all live to the end: looking for cycles among them again and again took
    # a sixth of a command (1.4 s against 1.15).  Verbs that run for long still get their garbage collected.
    gc.set_threshold(5_000_000, 20, 20)
    gc.enable()
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # the entry point's, for as long as imports take
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = cli.main(args=list(argv), prog_name="netlab", standalone_mode=False)
        code = status if isinstance(status, int) else 0
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = Exit.BAD_INPUT
    except click.Abort:
        click.echo("netlab: interrupted", err=True)
        code = 130
    except KeyboardInterrupt:
        click.echo("netlab: interrupted", err=True)
        code = 130
    except NeedsRoot as error:
        out.error(_as_root(error.message, argv, is_root=os.geteuid() == 0 and maps_all_users()))
        code = error.status
    except WithoutRoot as error:
        from netlab.cli.elsewhere import typed

        out.error(error)
        out.note(f"  {typed()} {shlex.join(argv)}")
        code = error.status
    except NetlabError as error:
        out.error(error)
        code = error.status
    except SystemExit as left:  # click's way out where the reader of a pipe has gone in the middle
        code = left.code if isinstance(left.code, int) else Exit.REFUSED
    except BrokenPipeError:
        # The reader of a pipe has gone (`netlab plan | head`): nothing is wrong, and nothing can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + 13
    except PermissionError as error:
        where = f" ({error.filename})" if error.filename else ""
        out.error(_as_root(f"this needs root: {error.strerror or error}{where}", argv, is_root=os.geteuid() == 0))
        code = Exit.HOST_CANNOT
    except OSError as error:
        if error.errno in EXHAUSTED:
            out.error(exhausted(error))
            return int(Exit.HOST_CANNOT)  # what waits to be written stays so
        # The lab changed under our feet (a namespace that went meanwhile), or the host is out of something.
        out.error(
            StateError(
                f"{error.strerror or error}: {error.filename or 'the host'}", hint="netlab diff shows what is missing"
            )
        )
        code = Exit.REFUSED
    except MemoryError:
        out.error(HostCannot("this host has no more memory for netlab", hint="free some, or take a smaller lab"))
        return int(Exit.HOST_CANNOT)
    except Exception:  # noqa: BLE001 - the last net: a defect must not look like the lab's fault
        import traceback

        traceback.print_exc()
        click.echo("netlab: that is a defect of netlab, not of your lab; the lines above say where", err=True)
        code = Exit.REFUSED
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code)


def _as_root(reason: str, argv: Sequence[str], *, is_root: bool) -> NeedsRoot:
    """The error for an action that needs root, with the same command line by sudo."""
    return NeedsRoot(reason, hint="" if is_root else f"{out.command(root=True)} {shlex.join(argv)}")
