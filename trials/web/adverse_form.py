"""The form of a serious adverse event: its choices, and reading what was typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from flask import request
from flask_babel import gettext as _

from trials.domain.adverse_event import (
    ACTIONS,
    CAUSALITIES,
    CRITERIA,
    OUTCOMES,
    SEVERITIES,
    Account,
    check_account,
)
from trials.domain.calendar import instant, local_day, zone_of
from trials.domain.diary import FieldErrors
from trials.domain.protocol import Protocol
from trials.domain.words import marked
from trials.store.trial import TrialRow
from trials.web.adverse_report import named

type Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EventForm:
    """The form of a serious event, new or amended.

    Attributes:
        action: where it goes.
        typed: field -> text.
        criteria: boxes that are ticked.
        errors: sentences by field.
        error: why it could not be kept, "" at first.
        treatments: catalogue id and name of each treatment of the trial.
        today: latest date that can be chosen.
        asks_when_known: whether the clock is still to be started.
        asks_why: whether a signed report is being amended.
        version: the newest version the writer has seen, 0 for a new event.
        options: choices by field.
    """

    action: str
    typed: Mapping[str, str]
    treatments: tuple[tuple[str, str], ...]
    today: str
    options: Mapping[str, Options]
    criteria: tuple[str, ...] = ()
    errors: FieldErrors = field(default_factory=dict)
    error: str = ""
    asks_when_known: bool = False
    asks_why: bool = False
    version: int = 0


def read_account(
    trial: TrialRow, protocol: Protocol, at: datetime
) -> tuple[Account | None, FieldErrors]:
    """Return what was typed, or None and a sentence for each field."""
    today = local_day(at, zone_of(trial.timezone))
    return check_account(
        request.form, request.form.getlist("criteria"), protocol.treatments, today=today
    )


def read_known_at(trial: TrialRow, errors: FieldErrors) -> datetime | None:
    """Return the instant the clinic came to know, from the site's own clock."""
    try:
        found = datetime.fromisoformat(request.form.get("known_at", ""))
    except ValueError:
        errors["known_at"] = marked("Please say when the clinic came to know of it.")
        return None
    return instant(found.date(), found.time(), zone_of(trial.site.timezone))


def local_minute(at: datetime, trial: TrialRow) -> str:
    """Return an instant as a field for date and time takes it, by the site's clock."""
    return at.astimezone(zone_of(trial.site.timezone)).strftime("%Y-%m-%dT%H:%M")


def latest_day(trial: TrialRow, at: datetime) -> str:
    """Return today in the patient's zone: no event begins later."""
    return local_day(at, zone_of(trial.timezone)).isoformat()


def is_signed() -> bool:
    """Return whether the button that signs was pressed."""
    return request.form.get("deed") == "sign"


def treatments_of(protocol: Protocol) -> tuple[tuple[str, str], ...]:
    """Return catalogue id and name of each treatment, in the order of the protocol."""
    return tuple((c.treatment, named(c)) for c in protocol.candidates)


def choices_of_fields() -> Mapping[str, Options]:
    """Return the choices of every field, in the reader's language."""
    return {
        "criteria": _choices(CRITERIA),
        "severity": _choices(SEVERITIES),
        "outcome": _choices(OUTCOMES),
        "action": _choices(ACTIONS),
        "causality": _choices(CAUSALITIES),
    }


def _choices[Choice: StrEnum](table: Mapping[Choice, str]) -> Options:
    return tuple((choice.value, str(_(label))) for choice, label in table.items())


def in_words(errors: FieldErrors) -> FieldErrors:
    """Return the sentences in the reader's language."""
    return {name: str(_(sentence)) for name, sentence in errors.items()}
