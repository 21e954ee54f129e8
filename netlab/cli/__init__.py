"""The command line: verbs, one file each, and the only place that prints.

Theory of operation.  ``main`` is a click group that knows its verbs by name and imports a verb's file only when that
verb is called, so that ``netlab --help`` costs no YAML, no kernel and no agent.  A verb asks ``runtime`` or ``observe``
for values and hands them to ``out``, which prints them for people or as JSON.

Limits: with ``-o json`` standard output is one document or empty; everything else goes to standard error.
"""
