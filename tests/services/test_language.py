"""Whose language a text is in, and what a letter says in it."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.plugins.pseudo import with_pseudo_language
from trials.services import language
from trials.services.language import (
    clock_time,
    known_locale,
    language_for_patient,
    language_for_staff,
    languages,
    long_day,
    own_name,
    staff_languages,
    translate,
    translations_of,
    write_letter,
)

BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY = date(2026, 3, 1)
EVENING = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (("de",), "de"),
        (("de-AT",), "de_AT"),
        (("pt_BR", "fr"), "fr"),
        (("tlh",), "en"),
        (("", None), "en"),
        (("no such language at all",), "en"),
    ],
)
def test_patients_read_the_first_language_that_is_here(wanted, found):
    assert language_for_patient(*wanted) == found


def test_staff_read_english_until_a_catalogue_has_no_gap():
    """A half-translated page would be worse for them than an English one."""
    assert staff_languages() == ("en",)
    assert language_for_staff("de", "fr") == "en"


def test_a_catalogue_without_gaps_serves_staff_without_any_change_of_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(language, "CATALOGUES", with_pseudo_language(tmp_path))

    assert "ar" in languages()
    assert staff_languages() == ("ar", "en")
    assert language_for_staff("ar") == "ar"


def test_a_variant_reads_the_texts_of_its_language_and_its_own_dates():
    assert translate("Thank you", "de_AT") == "Danke"
    assert str(known_locale("de-AT")) == "de_AT"
    assert long_day(date(2026, 1, 4), "de_AT") == "Sonntag, 4. Jänner 2026"


def test_a_language_that_is_not_here_is_english_throughout():
    """Not English words with foreign dates, from the right."""
    assert translate("Thank you", "ar") == "Thank you"
    assert long_day(SUNDAY, "ar") == "Sunday, March 1, 2026"
    assert known_locale("ar").text_direction == "ltr"


@pytest.mark.parametrize(
    ("locale", "day", "time"),
    [
        ("en", "Sunday, March 1, 2026", "5:00\N{NARROW NO-BREAK SPACE}PM"),
        ("de", "Sonntag, 1. März 2026", "17:00"),
        ("fr", "dimanche 1 mars 2026", "17:00"),
        ("es", "domingo, 1 de marzo de 2026", "17:00"),
    ],
)
def test_days_and_hours_are_written_as_people_there_write_them(locale, day, time):
    assert long_day(SUNDAY, locale) == day
    assert clock_time(EVENING, BERLIN, locale) == time


@pytest.mark.parametrize(
    ("locale", "subject", "sentence", "short"),
    [
        ("de", "Ihr Tagebuch ist offen", "Es dauert keine halbe Minute", "bis 3:00 Uhr offen."),
        ("fr", "Votre journal est ouvert", "moins d'une demi-minute", "ouvert jusqu'à 3:00."),
        ("es", "Su diario está abierto", "menos de medio minuto", "abierto hasta las 3:00."),
    ],
)
def test_a_reminder_is_written_in_the_patients_language(locale, subject, sentence, short):
    letter = write_letter(
        "diary_open", locale, day="X", closes="3:00", site="Nord", address="https://a.example"
    )

    assert letter.subject == subject
    assert sentence in letter.body
    assert short in letter.short
    for english in ("Hello", "diary", "clinic"):
        assert english not in letter.body


@pytest.mark.parametrize(("locale", "one", "many"), [("de", "1 Tag", "3 Tage")])
def test_plural_forms_are_those_of_the_language(locale, one, many, tmp_path, monkeypatch):
    catalogues = tmp_path / "translations"
    file = catalogues / locale / "LC_MESSAGES" / "messages.po"
    file.parent.mkdir(parents=True)
    file.write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
        'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\n'
        'msgstr[0] "%(num)s Tag"\nmsgstr[1] "%(num)s Tage"\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(language, "CATALOGUES", catalogues)
    texts = translations_of(locale)

    assert texts.ngettext("%(num)s day", "%(num)s days", 1) % {"num": 1} == one
    assert texts.ngettext("%(num)s day", "%(num)s days", 3) % {"num": 3} == many


def test_each_language_is_offered_by_its_own_name():
    assert [own_name(code) for code in languages()] == ["Deutsch", "English", "Español", "Français"]
