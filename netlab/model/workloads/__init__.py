"""Workloads become Pods: controllers give templates, templates give Pods with containers, ports and labels."""
