"""The command line: arguments in, lines or a live view out, an exit code at the end."""
