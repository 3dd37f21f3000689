"""Texts that are written without a page: messages in the language of their reader.

Pages are translated by Flask-Babel. A message is written by the clock, where there is no
request; it uses the same catalogues and the same kind of templates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import trials

SOURCE_LANGUAGE = "en"
_PACKAGE = Path(trials.__file__).parent
CATALOGUES = _PACKAGE / "web" / "translations"


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


def known_locale(name: str) -> Locale:
    """Return the locale of this name, or English where there is none."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale(SOURCE_LANGUAGE)


def write_letter(template: str, locale: str, **values: object) -> Letter:
    """Fill in an e-mail of ``templates/email``.

    Args:
        template: name without folder and ending, such as "diary_open".
        locale: language of the reader.
        values: what the template names.
    """
    page = _environment(str(known_locale(locale))).get_template(f"email/{template}.txt")
    context = page.new_context(values)
    subject = " ".join("".join(page.blocks["subject"](context)).split())
    body = "".join(page.blocks["body"](context)).strip() + "\n"
    short = "".join(page.blocks["short"](context)).strip() if "short" in page.blocks else ""
    return Letter(subject, body, short)


def translate(sentence: str, locale: str) -> str:
    """Return a sentence of ours in another language; English where it has not been translated."""
    return _translations((str(known_locale(locale)),)).gettext(sentence)


def long_day(day: date, locale: str) -> str:
    """Return a date with its weekday, as people write it."""
    return format_date(day, "full", locale=known_locale(locale))


def clock_time(at: datetime, zone: ZoneInfo, locale: str) -> str:
    """Return the time of day that the reader's clock shows."""
    return format_time(at.astimezone(zone), "short", locale=known_locale(locale))


@cache
def _environment(locale: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(template_folder()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # plain text
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(_translations((locale,)), newstyle=True)  # type: ignore[attr-defined]
    return environment


def _translations(locales: Sequence[str]) -> NullTranslations:
    return Translations.load(CATALOGUES, list(locales))
