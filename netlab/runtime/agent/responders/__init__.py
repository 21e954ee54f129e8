"""The servers that answer on the ports of Pods: HTTP over TCP, UDP, SCTP; ``endpoints`` keeps their table."""
