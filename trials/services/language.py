"""In which language somebody reads, and texts that are written without a page.

There is one catalogue for each language, for patients and staff alike. It is read as the
translators wrote it (a .po file), once in the life of a process: nothing is compiled, so nothing
can be forgotten or out of date. A language with gaps in the texts of the staff serves patients;
one without gaps serves everybody.

Pages are translated by Flask-Babel. A message is written by the clock, where there is no
request; it uses the same catalogues and the same kind of templates.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import trials

SOURCE_LANGUAGE = "en"
_PACKAGE = Path(trials.__file__).parent
CATALOGUES = _PACKAGE / "web" / "translations"
"""A folder for each language; a test may point this at another."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in words.

    Attributes:
        subject: one line.
        body: plain text.
        short: the same in a line or two, for a telephone; "" where it is never sent there.
    """

    subject: str
    body: str
    short: str = ""


def template_folder() -> Path:
    """Return where the templates are: inside the installed package, or beside it."""
    installed = _PACKAGE / "templates"
    return installed if installed.is_dir() else _PACKAGE.parent / "templates"


def languages() -> tuple[str, ...]:
    """Return the languages a patient can choose: English, and each that has a catalogue."""
    return _languages(CATALOGUES)


def staff_languages() -> tuple[str, ...]:
    """Return the languages in which nothing is missing, so that staff can work in them too."""
    return _staff_languages(CATALOGUES)


def language_for_patient(*wanted: str | None) -> str:
    """Return the first of these locales whose language patients can read here, else English."""
    return _first_of(languages(), wanted)


def language_for_staff(*wanted: str | None) -> str:
    """Return the first of these locales whose language staff can work in, else English."""
    return _first_of(staff_languages(), wanted)


def own_name(locale: str) -> str:
    """Return what a language calls itself: "Deutsch"."""
    name = known_locale(locale).get_display_name() or locale
    return name[:1].upper() + name[1:]


def known_locale(name: str) -> Locale:
    """Return the locale of this name if its language can be read here, else English."""
    try:
        locale = Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale(SOURCE_LANGUAGE)
    return locale if locale.language in languages() else Locale(SOURCE_LANGUAGE)


def translations_of(locale: Locale | str) -> NullTranslations:
    """Return the translated texts of a language; those of English are the texts themselves."""
    language = known_locale(str(locale)).language
    return NullTranslations() if language == SOURCE_LANGUAGE else _read(CATALOGUES, language)


def catalogue_file(language: str) -> Path:
    """Return where the texts of a language are."""
    return _file(CATALOGUES, language)


def read_catalogue(language: str) -> Catalog:
    """Return the texts of a language as they stand in its file."""
    with catalogue_file(language).open("rb") as file:
        return read_po(file, locale=language)


def write_letter(template: str, locale: str, **values: object) -> Letter:
    """Fill in an e-mail of ``templates/email``.

    Args:
        template: name without folder and ending, such as "diary_open".
        locale: language of the reader.
        values: what the template names.
    """
    page = _environment(CATALOGUES, str(known_locale(locale))).get_template(f"email/{template}.txt")
    context = page.new_context(values)
    subject = " ".join("".join(page.blocks["subject"](context)).split())
    body = "".join(page.blocks["body"](context)).strip() + "\n"
    short = "".join(page.blocks["short"](context)).strip() if "short" in page.blocks else ""
    return Letter(subject, body, short)


def translate(sentence: str, locale: str) -> str:
    """Return a sentence of ours in another language; English where it has not been translated."""
    return translations_of(locale).gettext(sentence)


def long_day(day: date, locale: str) -> str:
    """Return a date with its weekday, as people write it."""
    return format_date(day, "full", locale=known_locale(locale))


def clock_time(at: datetime, zone: ZoneInfo, locale: str) -> str:
    """Return the time of day that the reader's clock shows."""
    return format_time(at.astimezone(zone), "short", locale=known_locale(locale))


@cache
def _environment(_catalogues: Path, locale: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(template_folder()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # plain text
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(translations_of(locale), newstyle=True)  # type: ignore[attr-defined]
    return environment


def _first_of(known: Iterable[str], wanted: Iterable[str | None]) -> str:
    for locale in wanted:
        language = (locale or "").replace("-", "_").partition("_")[0]
        if language in known:
            return str(locale).replace("-", "_")
    return SOURCE_LANGUAGE


def _file(catalogues: Path, language: str) -> Path:
    return catalogues / language / "LC_MESSAGES" / "messages.po"


@cache
def _languages(catalogues: Path) -> tuple[str, ...]:
    found = {file.parents[1].name for file in catalogues.glob("*/LC_MESSAGES/messages.po")}
    return tuple(sorted({SOURCE_LANGUAGE} | found))


@cache
def _staff_languages(catalogues: Path) -> tuple[str, ...]:
    translated = (language for language in _languages(catalogues) if language != SOURCE_LANGUAGE)
    complete = {language for language in translated if _is_complete(catalogues, language)}
    return tuple(sorted({SOURCE_LANGUAGE} | complete))


def _is_complete(catalogues: Path, language: str) -> bool:
    with _file(catalogues, language).open("rb") as file:
        catalogue = read_po(file, locale=language)
    return all(is_translated(message) for message in catalogue if message.id)


def is_translated(message: Message) -> bool:
    """Return whether a text is there in all its forms, and a translator is sure of it."""
    forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return not message.fuzzy and all(forms)


@cache
def _read(catalogues: Path, language: str) -> Translations:
    """Return the texts of a language, ready to be looked up; unfinished ones are left out."""
    compiled = BytesIO()
    with _file(catalogues, language).open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)
