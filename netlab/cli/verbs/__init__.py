"""The verbs, one file each; ``netlab.cli.main.VERBS`` lists them."""
