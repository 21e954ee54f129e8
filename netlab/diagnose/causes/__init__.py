"""Causes: each file has the findings from one kind of evidence.  ``findings`` gives them their order."""
