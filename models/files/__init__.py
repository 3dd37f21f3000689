"""The files of the command line: protocol and diary in, result out."""
