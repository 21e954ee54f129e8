"""More than one machine, by an engine that exists: Dask's ``distributed``, the extra ``kubenetlab[cluster]``.

The engine has two interfaces: "call this function on that machine" and ``concurrent.futures.Executor``.  Queue, heartbeat,
repetition and transport are the engine's.  Its workers run functions as root for whoever reaches them, so the transport is
TLS with a certificate on both sides; plain TCP is for 127.0.0.1 alone.
"""
