"""Collect the texts people read and bring the catalogues up to date: `make messages`.

    python -m tools.messages           collect, update each .po, and list what a patient would
                                       still read in English
    python -m tools.messages de it     and begin these languages, where they are not there yet
    python -m tools.messages --check   list only; the exit status is 1 when something is missing

There is one catalogue for each language, for patients and staff alike
(trials/web/translations/README.md). A text belongs to the patients unless every file that uses
it is named in ``STAFF_ONLY``: what is new is asked for until somebody says that only staff
read it.
"""

import csv
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import IO

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import write_po

from trials.services.language import (
    SOURCE_LANGUAGE,
    catalogue_file,
    is_translated,
    languages,
    own_name,
    read_catalogue,
)

ROOT = Path(__file__).parents[1]
MAPPING = ROOT / "babel.cfg"
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy_gettext": None, "marked": None, "Phrase": None}
FOLDERS = ("trials", "models", "scheduler", "templates")
WIDTH = 100
HEADER = """\
# {language}: the texts of Lenitive. Brought in step with the sources by `make messages`;
# the words to use are in GLOSSARY.md.
#"""
BEGINNING = datetime(2026, 11, 22, tzinfo=UTC)

STAFF_ONLY = (
    "models/guess.py",
    "models/words/beside.py",
    "models/words/sensitivity.py",
    "scheduler/",
    "templates/_macros/stepper.html",
    "templates/_macros/timeline.html",
    "templates/account/",
    "templates/administrator/",
    "templates/analyst/",
    "templates/clinician/",
    "templates/email/adverse_event.txt",
    "templates/email/alert.txt",
    "templates/email/answer_clear.txt",
    "templates/email/answers_removed.txt",
    "templates/email/call_asked.txt",
    "templates/email/code_opened.txt",
    "templates/email/harm_found.txt",
    "templates/email/patient_paused.txt",
    "templates/email/patient_stopped.txt",
    "templates/email/problem_reported.txt",
    "templates/email/silence.txt",
    "templates/email/still_waits.txt",
    "templates/email/trial_completed.txt",
    "templates/pharmacist/",
    "templates/report/",
    "templates/security/",
    "trials/cli/",
    "trials/domain/adverse_event.py",
    "trials/domain/design.py",
    "trials/domain/paper.py",
    "trials/domain/protocol.py",
    "trials/domain/randomization.py",
    "trials/keys.py",
    "trials/services/accounts.py",
    "trials/services/adverse_events.py",
    "trials/services/alerts.py",
    "trials/services/allocation.py",
    "trials/services/analysis.py",
    "trials/services/calibration.py",
    "trials/services/condition.py",
    "trials/services/draws.py",
    "trials/services/export.py",
    "trials/services/help_numbers.py",
    "trials/services/looks.py",
    "trials/services/oversight.py",
    "trials/services/patients.py",
    "trials/services/trail.py",
    "trials/services/trials.py",
    "trials/services/what_if.py",
    "trials/web/administrator.py",
    "trials/web/adverse_events.py",
    "trials/web/adverse_form.py",
    "trials/web/agreement.py",
    "trials/web/alerts.py",
    "trials/web/analyst.py",
    "trials/web/calibration.py",
    "trials/web/clinician/",
    "trials/web/course.py",
    "trials/web/deeds.py",
    "trials/web/help_numbers.py",
    "trials/web/patients.py",
    "trials/web/pharmacist.py",
    "trials/web/posterior.py",
    "trials/web/provenance.py",
    "trials/web/reports.py",
    "trials/web/result.py",
    "trials/web/scrutiny.py",
    "trials/web/security.py",
    "trials/web/setup.py",
    "trials/web/form_fields.py",
    "trials/web/setup_form.py",
    "trials/web/setup_typed.py",
    "trials/web/what_if.py",
)
"""Files, and folders, whose texts no patient reads."""


def main() -> int:
    """Update the catalogues, or only look; return the exit status."""
    asked = sys.argv[1:]
    template = collect()
    if "--check" not in asked:
        for language in sorted({*languages(), *asked} - {SOURCE_LANGUAGE}):
            update(language, template)
    lacking = 0
    for language in languages():
        if language != SOURCE_LANGUAGE:
            lacking += report(language, template)
    return 1 if lacking and "--check" in asked else 0


def collect() -> Catalog:
    """Return every text of the sources, with the files that use it."""
    with MAPPING.open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    catalogue = Catalog(project="Lenitive", charset="utf-8")
    found = extract_from_dir(ROOT, methods, options, KEYWORDS, directory_filter=_is_ours)
    for name, _line, text, notes, context in found:
        place = (Path(name).as_posix(), 0)
        catalogue.add(text, None, [place], auto_comments=notes, context=context)
    return catalogue


def _is_ours(folder: str | PathLike[str]) -> bool:
    """Return whether a folder is looked through; Babel would leave out our ``_macros``."""
    parts = Path(folder).relative_to(ROOT).parts
    return not parts or (parts[0] in FOLDERS and "__pycache__" not in parts)


def labels_of(
    fileobj: IO[bytes], _keywords: object, _comment_tags: object, options: object
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Yield what a patient reads of a table in trials/data: an extraction method for Babel.

    The columns are named in babel.cfg; "label" where nothing is said.
    """
    named = options.get("columns", "label") if isinstance(options, Mapping) else "label"
    columns = [name.strip() for name in str(named).split(",")]
    lines = fileobj.read().decode().splitlines(keepends=True)
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    for row in rows:
        for text in filter(None, (row[column] for column in columns)):
            yield rows.line_num, "", text, []


def is_for_patients(message: Message) -> bool:
    """Return whether a text is used by a file that patients read from."""
    files = [name for name, _line in message.locations]
    return bool(message.id) and any(not name.startswith(STAFF_ONLY) for name in files)


def texts_for_patients(template: Catalog) -> tuple[Message, ...]:
    """Return the texts that patients read, in the order of the sources."""
    return tuple(message for message in template if is_for_patients(message))


def missing(language: str, template: Catalog) -> tuple[Message, ...]:
    """Return the texts for patients that a language lacks, or is unsure of."""
    known = read_catalogue(language)

    def is_there(message: Message) -> bool:
        own = known.get(message.id, message.context)
        return own is not None and is_translated(own)

    return tuple(message for message in texts_for_patients(template) if not is_there(message))


def update(language: str, template: Catalog) -> None:
    """Bring one .po in step with the sources.

    Nothing is guessed from similar texts. What is used no more stays at the end of the file, out
    of the way, with its translation.
    """
    file = catalogue_file(language)
    known = read_catalogue(language) if file.exists() else Catalog(locale=language, charset="utf-8")
    for text, message in known.obsolete.items():  # one that is used again has its translation
        known[text] = message
    known.obsolete.clear()
    known.update(template, no_fuzzy_matching=True)
    known.header_comment = HEADER.format(language=own_name(language))
    known.fuzzy = False
    known.project, known.version = "Lenitive", "1"
    known.msgid_bugs_address = known.last_translator = known.language_team = ""
    known.creation_date = known.revision_date = BEGINNING  # the history of the file tells the rest
    written = BytesIO()
    write_po(written, known, width=WIDTH, sort_by_file=True, include_lineno=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(written.getvalue())


def report(language: str, template: Catalog) -> int:
    """Print what a language lacks; return how many texts."""
    lacking = missing(language, template)
    number = len(texts_for_patients(template))
    print(f"{language}: {number - len(lacking)} of {number} texts for patients are translated.")
    for message in lacking:
        print(f"  {', '.join(sorted({name for name, _line in message.locations}))}: {message.id!r}")
    return len(lacking)


if __name__ == "__main__":
    sys.exit(main())
