"""Every text that a patient can meet is translated, in every language, in the same words."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from tools.messages import (
    ROOT,
    STAFF_ONLY,
    collect,
    is_for_patients,
    missing,
    texts_for_patients,
)
from trials.services.language import (
    CATALOGUES,
    SOURCE_LANGUAGE,
    is_translated,
    languages,
    read_catalogue,
)

TRANSLATED = [language for language in languages() if language != SOURCE_LANGUAGE]
GAP = re.compile(r"%\((\w+)\)[sd]|%%\{(\w+)\}|(%%)")
TAG = re.compile(r"<\s*/?\s*[a-z]", re.IGNORECASE)
FAMILIAR = {
    "de": r"\b(du|dich|dir|dein\w*|euch|euer\w*)\b",
    "fr": r"\b(tu|toi|tes)\b",
    "es": r"\b(tú|ti|tus?|tuy\w+|contigo|vosotr\w+|vuestr\w+)\b",
}
"""Words of somebody who is on familiar terms."""


@cache
def sources() -> Catalog:
    return collect()


@cache
def translated(language: str) -> Catalog:
    return read_catalogue(language)


def forms(text: object) -> tuple[str, ...]:
    """Return the singular and plural of a text, or the one text it is."""
    return tuple(text) if isinstance(text, tuple | list) else (str(text),)


def pairs(language: str) -> Iterator[tuple[str, str]]:
    """Yield each text with its translation, those of the staff too as far as they are there."""
    for message in translated(language):
        if message.id and is_translated(message):
            originals, own = forms(message.id), forms(message.string)
            yield from zip((originals[0], *originals[1:] * (len(own) - 1)), own, strict=True)


def test_english_german_french_and_spanish_are_offered():
    assert languages() == ("de", "en", "es", "fr")


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_a_patient_reads_is_missing(language: str):
    """If this fails: `make messages`, then translate what it lists (or name it as staff's)."""
    assert [message.id for message in missing(language, sources())] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_unsure_and_nothing_is_left_over(language: str):
    known = {message.id for message in sources() if message.id}

    assert [m.id for m in translated(language) if m.id and m.fuzzy] == []
    patients = {m.id for m in translated(language) if is_for_patients(m)}
    assert patients - known == set(), "`make messages` takes out what is used no more"


@pytest.mark.parametrize("language", TRANSLATED)
def test_gaps_spaces_and_marks_are_those_of_the_source(language: str):
    for original, own in pairs(language):
        assert sorted(GAP.findall(own)) == sorted(GAP.findall(original)), own
        assert own == own.strip(), own
        assert not TAG.search(own), own
        assert own.endswith((".", "?", "!", "…", "»", "“", ")")) or not original.endswith("."), own
        assert original.endswith(":") == own.endswith(":"), own


@pytest.mark.parametrize("language", TRANSLATED)
def test_patients_are_addressed_formally(language: str):
    familiar = re.compile(FAMILIAR[language], re.IGNORECASE)

    assert [own for _original, own in pairs(language) if familiar.search(own)] == []


def glossary() -> list[dict[str, str]]:
    """Return the rows of the glossary's table."""
    lines = (CATALOGUES / "GLOSSARY.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    head, _rule, *words = rows
    return [dict(zip(head, row, strict=True)) for row in words]


@pytest.mark.parametrize("language", TRANSLATED)
def test_one_thing_has_one_word(language: str):
    strays = []
    for row in glossary():
        asked = re.compile(rf"\b{row['English']}s?\b", re.IGNORECASE)
        allowed = [word.strip().casefold() for word in row[language].split(",")]
        strays += [
            f"{row['English']}: {original!r} -> {own!r}"
            for message in texts_for_patients(sources())
            for original, own in [(forms(message.id)[0], own_text(language, message))]
            if asked.search(original) and not any(w in own.casefold() for w in allowed)
        ]
    assert strays == []


def own_text(language: str, message: Message) -> str:
    own = translated(language).get(message.id)
    return forms(own.string)[0] if own is not None else ""


def test_files_of_staff_exist_and_everything_else_belongs_to_patients():
    """A text in a new file is asked for until somebody says that only staff read it."""
    assert [name for name in STAFF_ONLY if not (ROOT / name).exists()] == []
    stray = Message("A sentence", locations=[("templates/somewhere/new.html", 0)])
    shared = Message("A word", locations=[("trials/cli/user.py", 0), ("templates/base.html", 0)])
    staffs = Message("A word", locations=[("trials/cli/user.py", 0)])
    assert [is_for_patients(m) for m in (stray, shared, staffs)] == [True, True, False]


BESIDE_THEIR_FOLDER = ("edge", "entrance", "feed", "language", "plain_result", "verdict")
FOR_PATIENTS = ("patient", "entrance", "errors")
NEVER_SAID = {
    "trials/domain/design.py": "refuses a design, which a patient cannot change",
    "trials/domain/protocol.py": "refuses a protocol, likewise",
    "trials/keys.py": "a record that does not open stops the request, and says so to the operator",
    "trials/services/accounts.py": "patients have no account; the demonstration's first page looks",
    "trials/services/allocation.py": "a patient asks what is known or which box it is: no refusal",
    "trials/services/analysis.py": "asked for the result only in a state in which there is one",
    "trials/services/help_numbers.py": "read by patients, refused to an administrator",
    "trials/services/patients.py": "a patient chooses a language that is offered",
}
"""Modules of staff that a page of patients imports, and why no text of theirs is met there."""


def imported(file: Path) -> set[str]:
    """Return the files of ours that a Python file imports from."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {f"{name.replace('.', '/')}.py" for name in names}
    return {name for name in found if (ROOT / name).is_file()}


def test_pages_of_patients_use_nothing_of_staff_but_what_says_no_word_to_them():
    """What a patient's page imports could refuse something with a sentence nobody translated."""
    web = ROOT / "trials" / "web"
    named = (web / f"{name}.py" for name in BESIDE_THEIR_FOLDER)
    used = {name for page in (*web.glob("patient/*.py"), *named) for name in imported(page)}

    assert {name for name in used if name.startswith(STAFF_ONLY)} == set(NEVER_SAID)


def test_templates_of_patients_use_none_of_staff():
    templates = ROOT / "templates"
    files = [templates / "base.html"]
    for folder in FOR_PATIENTS:
        files += (templates / folder).rglob("*.*")
    used = {
        f"templates/{name}"
        for file in files
        for name in re.findall(r'{%-? *(?:import|extends|include|from) "([^"]+)"', file.read_text())
    }

    assert len(used) > 5
    assert [name for name in used if name.startswith(STAFF_ONLY)] == []


def test_texts_are_found_in_macros_models_tables_and_the_core():
    """Babel by itself leaves out folders like our _macros."""
    found = {message.id: [name for name, _ in message.locations] for message in sources()}

    for text, file in (
        ("No pain", "templates/_macros/scale.html"),
        ("Feeling sick", "trials/data/side_effects.csv"),
        ("No answer can be given from these data.", "models/words/verdicts.py"),
        ("Please choose a number from 0 to 10.", "trials/domain/diary_form.py"),
        ("Your diary is open", "templates/email/diary_open.txt"),
    ):
        assert file in found[text]


def test_an_untranslated_sentence_would_be_noticed():
    """The test above can fail: a text that nobody translated is missing in each language."""
    template = Catalog()
    template.add("Never heard before.", locations=[("templates/patient/today.html", 0)])

    for language in TRANSLATED:
        assert [m.id for m in missing(language, template)] == ["Never heard before."]


def test_the_catalogues_are_in_the_wheel():
    """They lie inside the package, so that hatchling takes them along."""
    assert CATALOGUES.is_relative_to(ROOT / "trials")
    assert all(
        (Path(CATALOGUES) / language / "LC_MESSAGES" / "messages.po").is_file()
        for language in TRANSLATED
    )
