"""The commands of Pods as supervised processes: sandboxes, starts, restarts, logs, commands of ``exec``."""
