"""Faults of names: the resolv.conf of Pods, the DNS server, and what stands between the two."""
