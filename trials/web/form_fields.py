"""Single fields of a form: text in, a value or a sentence beside the field."""

from datetime import time

from flask_babel import gettext as _

from trials.domain.blinding import Blinding
from trials.domain.design import (
    AnalysisSet,
    LookSchedule,
    Outcome,
    Scheme,
)
from trials.domain.diary import FieldErrors


def whole(name: str, text: str, otherwise: int | None, errors: FieldErrors) -> int | None:
    """Return the whole number, what stands for an empty field, or that and a sentence."""
    if not text:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        errors[name] = str(_("Please give a whole number."))
        return otherwise
    return int(text)


def decimal(name: str, text: str, otherwise: float, errors: FieldErrors) -> float:
    """Return the number; a comma counts as a decimal point."""
    text = text.strip().replace(",", ".")
    if not text:
        return otherwise
    try:
        number = float(text) if len(text) <= 8 else float("nan")
    except ValueError:
        number = float("nan")
    if not abs(number) < 1000:  # neither "inf" nor "nan" is a number people mean
        errors[name] = str(_("Please give a number, such as 0.5."))
        return otherwise
    return number


def time_of_day(name: str, text: str, errors: FieldErrors) -> time | None:
    """Return the time of day to the minute, or None and a sentence."""
    try:
        return time.fromisoformat(text).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError:
        errors[name] = str(_("Please give a time of day, such as 17:00."))
        return None


def choice[E: (Blinding, Outcome, AnalysisSet, Scheme, LookSchedule)](
    kind: type[E], text: str, otherwise: E
) -> E:
    """Return the chosen member, or the usual one for anything else."""
    try:
        return kind(text)
    except ValueError:
        return otherwise
