"""Mark the sentences people read, so that translators find them.

The core raises and returns English sentences with named values; only the edge knows the
reader's language. ``marked`` does nothing at run time: Babel extracts its argument.
"""


def marked(sentence: str) -> str:
    """Return ``sentence`` unchanged; its presence here puts it into the catalogue."""
    return sentence
