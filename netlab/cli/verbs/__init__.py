"""The verbs, one file each, found by name: ``netlab.cli.helptext`` lists them in groups."""
