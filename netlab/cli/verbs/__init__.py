"""The verbs, one file each, found by name: ``netlab.cli.main.VERBS`` lists them in the order of a workshop."""
