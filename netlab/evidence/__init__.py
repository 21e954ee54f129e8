"""What the kernel's sources say about one traced packet, as values: ``records`` are the input of a diagnosis.

Pure: ``observe`` collects the records, ``diagnose`` draws conclusions from them.
"""
