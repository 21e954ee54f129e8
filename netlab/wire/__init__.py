"""Protocol codecs: ``packets`` decodes frames, ``pcapng`` encodes capture files.

Pure: no module here opens a socket; the tests feed recorded bytes.
"""
