"""The run state of labs below /run/netlab: where a lab is found, its lock, its resolved spec."""
