"""The lines of a trial's page: diary days, versions of the protocol, problems, deeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flask import url_for
from flask_babel import format_date, format_datetime
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.consent import ON_WITHDRAWAL, OnWithdrawal
from trials.services import diary
from trials.services.erasure import is_erased
from trials.services.problems import PROBLEM_KINDS, ProblemKind, open_problems
from trials.services.trail import Trail
from trials.store.correction import confirmations_of_trial, corrections_of_trial
from trials.store.diary import DiaryDayRow
from trials.store.problem import CALL
from trials.store.trial import (
    ProtocolRow,
    TrialRow,
    consent_to,
)
from trials.web.course import Entries, day_state
from trials.web.provenance import provenance
from trials.web.reports import can_write_down


@dataclass(frozen=True, slots=True)
class DayLine:
    """One diary day: whether it was answered, never what was answered."""

    date: str
    number: int
    period: str
    state: str
    note: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A problem that the patient told and nobody has dealt with."""

    when: str
    kind: str
    words: str
    settle_href: str


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """One version of the protocol and the consent to it."""

    version: int
    frozen: str
    hash: str
    consent: str
    wish: str = ""


@dataclass(frozen=True, slots=True)
class DeedLine:
    """One line of the audit trail, as far as it may be shown."""

    at: str
    who: str
    deed: str
    why: str


def day_lines(
    session: Session, trial: TrialRow, rows: list[DiaryDayRow], entries: Entries, at: datetime
) -> Iterable[DayLine]:
    """Yield the diary days that have opened, newest first."""
    told = confirmations_of_trial(session, trial.id)
    waiting = {day for day, c in corrections_of_trial(session, trial.id) if c.state == "waiting"}
    closed = trial.current_state in diary.ANALYSED or is_erased(session, trial)
    for row in reversed(rows):
        if row.state == "cancelled" or row.opens_at > at:
            continue
        state = "paused" if row.state == "paused" else day_state(row, entries, at)
        notes = list(provenance(entries.get(row.day), told))
        if row.day in waiting:
            notes.append(_("a correction waits for the patient"))
        writable = not closed and can_write_down(row, at)
        yield DayLine(
            date=format_date(row.day, "EEE d MMM"),
            number=row.number,
            period=_("Run-in") if row.period == 0 else str(row.period),
            state=state,
            note=", ".join(notes),
            href=url_for("reports.write_down", trial=trial.public_id, day=row.day.isoformat())
            if writable
            else "",
        )


def problem_lines(session: Session, trial: TrialRow) -> tuple[ProblemLine, ...]:
    """Return the problems and calls the patient waits for, however long."""
    return tuple(
        ProblemLine(
            when=format_datetime(row.at, "short"),
            kind=_("The patient asks to be called")
            if row.kind == CALL
            else str(_(PROBLEM_KINDS[ProblemKind(row.kind)])),
            words=_("Please call within two working days.") if row.kind == CALL else row.words,
            settle_href=url_for("reports.settle", trial=trial.public_id, problem=row.public_id),
        )
        for row in open_problems(session, trial)
    )


def paper_links(trial: TrialRow, rows: list[DiaryDayRow]) -> tuple[tuple[str, str], ...]:
    """Return name and address of the printable diary of each period."""
    return tuple(
        (
            str(_("Period %(number)s", number=number) if number else _("Run-in")),
            url_for("reports.paper", trial=trial.public_id, period=number),
        )
        for number in sorted({row.period for row in rows if row.state != "cancelled"})
    )


def consent_lines(session: Session, versions: Iterable[ProtocolRow]) -> tuple[ConsentLine, ...]:
    """Return the frozen versions of the protocol and the consent to each."""
    found = []
    for row in versions:
        if row.frozen_at is None or row.hash is None:
            continue
        consent = consent_to(session, row.id)
        found.append(
            ConsentLine(
                version=row.version,
                frozen=format_datetime(row.frozen_at, "medium"),
                hash=row.hash,
                consent=format_date(consent.given_on, "long") if consent else "",
                wish=str(_(ON_WITHDRAWAL[OnWithdrawal(consent.on_withdrawal)])) if consent else "",
            )
        )
    return tuple(found)


def trail_lines(trail: Trail) -> Iterable[DeedLine]:
    """Yield the deeds, as far as a clinician may read them."""
    roles = {
        "patient": _("the patient"),
        "system": _("Lenitive"),
        "pharmacist": _("pharmacist"),
        "analyst": _("analyst"),
        "clinician": _("clinician"),
        "administrator": _("administrator"),
    }
    for line in trail.lines:
        role = str(roles.get(line.role, line.role))
        deed = str(_(line.deed))
        if line.period:
            deed = f"{deed}: {_('period %(number)s', number=line.period)}"
        yield DeedLine(
            at=format_datetime(line.at, "short"),
            who=f"{line.who} ({role})" if line.who else role,
            deed=deed,
            why=line.why,
        )
