"""The kernel's evidence about a traced packet: ``records`` are the input of a diagnosis.

Pure: ``observe`` collects the records, ``diagnose`` interprets them.
"""
