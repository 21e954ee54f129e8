"""The requirements that this host must meet before a lab is built: programs, features, memory, open files."""
