"""The command line: `lenitive`."""
