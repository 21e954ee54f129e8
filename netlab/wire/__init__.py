"""Bytes of protocols as values and back: ``packets`` reads frames, ``pcapng`` writes capture files.

Pure: nothing here opens a socket; the tests feed it recorded bytes.
"""
