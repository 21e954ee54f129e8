"""YAML files in, documents with positions out: what was written, checked, and where.

Theory of operation
-------------------
``load`` reads files.  ``text`` makes characters of bytes.  ``compose`` makes YAML nodes with lines and columns of those,
within limits; ``read`` flattens lists and asks ``kinds`` what becomes of each object; ``check`` walks an object's nodes
along its schema (``schema``, data in ``schemas/``) and makes plain values of them.  ``rules`` holds what concerns more
than one field, ``formats`` and ``scalars`` what concerns one text.

Null means absent, everywhere, and an object never has a null in its body.  Every problem of every file is found in one
run, with its line and column and, where a word is near a known one, what was probably meant.  Bad content is never an
exception; only a file that cannot be read is.

Limits
------
One object is looked at at a time: whether a node exists, addresses are free or CIDRs overlap is the model's to say.
Problems in YAML syntax are told one a file, since what follows cannot be read.  Of custom resources only the policy
API's tiers are checked.  A file has at most 64 MiB, a document nests at most 128 deep.
"""

from __future__ import annotations

from netlab.spec.documents import Document, Documents, Level, Warning
from netlab.spec.load import Text, load, load_text, load_texts, read_texts
from netlab.spec.names import names
from netlab.spec.schema import exercise_schema, expect_schema, json_schema

__all__ = [
    "Document",
    "Documents",
    "Level",
    "Text",
    "Warning",
    "exercise_schema",
    "expect_schema",
    "json_schema",
    "load",
    "load_text",
    "load_texts",
    "names",
    "read_texts",
]
