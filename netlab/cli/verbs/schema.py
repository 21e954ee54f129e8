"""``netlab schema``: the JSON Schema of lab files."""

from __future__ import annotations

import click

from netlab.cli import out


@click.command()
def command() -> None:
    """Print the JSON Schema of lab files, for editors."""
    from netlab.spec import json_schema

    out.document(json_schema())
