"""A language that nobody speaks, to see what a right-to-left one does to the pages.

Every letter of every text becomes an Arabic one; gaps, digits and marks stay. It serves two
ends: the layout meets real right-to-left text, and a Latin letter that is left on a page is a
text that did not go through the catalogue.
"""

import re
from io import BytesIO
from pathlib import Path
from shutil import copytree

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from tools.messages import collect
from trials.services.language import CATALOGUES

PSEUDO = "ar"
LETTERS = dict(zip("abcdefghijklmnopqrstuvwxyz", "ابتثجحخدذرزسشصضطظعغفقكلمنه", strict=True))
_KEPT = re.compile(r"%\(\w+\)[sd]|%%\{\w+\}|%%")


def written_from_the_right(text: str) -> str:
    """Return a text in the pseudo language."""
    kept = _KEPT.findall(text)
    parts = ["".join(LETTERS.get(c.lower(), c) for c in part) for part in _KEPT.split(text)]
    return "".join(part + gap for part, gap in zip(parts, [*kept, ""], strict=True))


def with_pseudo_language(folder: Path) -> Path:
    """Return a folder with our catalogues and that of the pseudo language."""
    catalogues = folder / "translations"
    copytree(CATALOGUES, catalogues)
    catalogue = Catalog(locale=PSEUDO, charset="utf-8", fuzzy=False)
    for message in collect():
        if not message.id:
            continue
        forms = message.id if isinstance(message.id, tuple) else (message.id,)
        own = [written_from_the_right(form) for form in forms]
        number = catalogue.num_plurals if len(own) > 1 else 1
        text = own[0] if number == 1 else (own[0], *[own[1]] * (number - 1))
        catalogue.add(message.id, text)
    written = BytesIO()
    write_po(written, catalogue)
    file = catalogues / PSEUDO / "LC_MESSAGES" / "messages.po"
    file.parent.mkdir(parents=True)
    file.write_bytes(written.getvalue())
    return catalogues
