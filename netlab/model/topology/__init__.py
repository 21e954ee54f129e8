"""Nodes, underlay and links; the node and the addresses of each Pod; what a running lab keeps of them (``memory``)."""
