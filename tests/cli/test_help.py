"""The pages that list the verbs: the usual ones on one screen, all of them, and what to begin with."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from netlab.cli import examples
from netlab.cli.helptext import GROUPS, VERBS
from netlab.cli.main import cli


def lines(*words: str) -> list[str]:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",)])
def test_the_usual_verbs_fit_a_terminal_of_24_lines_and_80_columns(words: tuple[str, ...]) -> None:
    page = lines(*words)
    assert len(page) <= 23  # the prompt is the last line
    assert max(map(len, page)) < 80
    assert sum(line[16:].split()[:1] != [] and line[16:].split()[0] in VERBS for line in page) <= 20
    assert [group for group in GROUPS if any(line.startswith(f"{group} ") for line in page)] == list(GROUPS)


def test_help_all_lists_every_verb_and_which_to_take() -> None:
    page = lines("help", "--all")
    assert max(map(len, page)) < 80
    listed = [line.split()[0] for line in page[: page.index("Which one?")] if line.startswith("  ")]
    assert listed == list(VERBS)
    assert [line.split()[0] for line in page[page.index("Which one?") + 1 :][:4]] == [
        "explain",
        "trace",
        "diff",
        "diagnose",
    ]


def test_netlab_alone_says_what_to_do_next() -> None:
    page = lines()
    said = [line.partition("netlab ")[2].split()[0] for line in page if line.startswith("  ")]
    assert said == ["up", "learn", "test", "--help"]


def test_help_of_a_verb_is_the_verbs() -> None:
    assert lines("help", "up") == lines("up", "--help")


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_examples_whose_words_it_knows(verb: str) -> None:
    """Only the words are read; no lab is named that must run."""
    context = click.Context(cli, **cli.context_settings)  # click keeps the help option that it makes first
    for line, text in examples.lines(verb):
        words = shlex.split(re.split(r" [|>]", line[line.index("netlab ") :])[0])[1:]
        command: click.Command | None = cli.get_command(context, words[0])
        if isinstance(command, click.Group):
            words = words[1:]
            command = command.get_command(context, words[0])
        assert command is not None
        context_of_it = click.Context(command, parent=context, **command.context_settings)
        command.make_parser(context_of_it).parse_args(words[1:])
        assert text[0].isupper() and not text.endswith(".")
    page = lines(verb, "--help")
    assert page[-1] == f"  {examples.lines(verb)[-1][0]}"
    assert max(map(len, page)) <= 80
