"""At the end of a period: how it was, which was best so far, and what it may have been."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy.orm import Session

from trials.domain.calendar import zone_of
from trials.domain.diary import FieldErrors
from trials.domain.errors import StateError
from trials.domain.impression import CHANGES, LONGEST_WORDS, NO_PREFERENCE, NONE_OF_THEM, OPEN_FOR
from trials.domain.protocol import Protocol
from trials.domain.words import marked
from trials.services import guesses as guess_services
from trials.store.impression import impressions_of_trial
from trials.store.trial import PeriodRow, TrialRow, frozen_protocol, periods_of_trial
from trials.web.access import open_to_patient
from trials.web.edge import now, transaction
from trials.web.local_words import closing, days_between
from trials.web.patient.advice import Advice
from trials.web.patient.blueprint import bp, render, typed_in
from trials.web.patient.listening import listen, way_on
from trials.web.patient.today import Takes
from trials.web.patient.trial import Choice, choose_trial

CERTAINTIES = (
    ("0", lazy_gettext("Just a guess")),
    ("1", lazy_gettext("A little sure")),
    ("2", lazy_gettext("Fairly sure")),
    ("3", lazy_gettext("Very sure")),
    ("4", lazy_gettext("Certain")),
)
UNKNOWN = "unknown"

type Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GuessPage:
    """All that templates/patient/guess.html may use.

    Attributes:
        heading: which box it is about.
        days: of the period.
        until: until when it can be answered.
        changes: (value, name) of the seven steps.
        preferences: (value, name) of each period so far, and of "no preference".
        options: (value, name) of each candidate, and "I do not know"; none in an open trial.
        certainties: (value, name) of each level.
        home: the first page.
        typed: what was typed, after an error.
        errors: sentences by field.
        advice: what must be read at once.
    """

    heading: str
    days: str
    until: str
    changes: Options
    preferences: Options
    options: Options
    certainties: Options
    home: str
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()


@bp.route("/period/<int:period>/guess", methods=["GET", "POST"])
@open_to_patient
def guess(period: int) -> ResponseReturnValue:
    """Ask at the end of a period how it was, and in a blinded trial what it may have been."""
    at = now()
    typed = typed_in(request.form)
    advice = listen(typed.get("words", ""), typed.get("why", ""), key=f"guess-{period}")
    with transaction() as session:
        choice = choose_trial(session)
        trial = choice.trial
        if any(row.period == period for row in impressions_of_trial(session, trial.id)):
            return redirect(way_on(choice, advice, "today"), code=303)
        waiting = guess_services.periods_to_ask(session, trial, at)
        row = next((p for p in waiting if p.number == period), None)
        frozen = frozen_protocol(session, trial.id)
        if row is None or frozen is None:
            if advice:
                return redirect(way_on(choice, advice, "today"), code=303)
            raise StateError(marked("Nothing is asked about this box now."))
        guessing = guess_services.may_guess(session, trial, period)
        page = _guess_page(session, choice, row, frozen.value, at, guessing=guessing)
        errors = _check(page, typed) if request.method == "POST" else {}
        if request.method == "GET" or errors:
            page = _guess_page(
                session,
                choice,
                row,
                frozen.value,
                at,
                guessing=guessing,
                typed=typed,
                errors=errors,
                advice=advice,
            )
            return render("guess", page), 422 if errors else 200
        _keep(session, trial, period, typed, at, guessing=guessing)
    flash(_("Your answer is kept. Thank you."), "success")
    return redirect(way_on(choice, advice, "today"), code=303)


def _keep(
    session: Session,
    trial: TrialRow,
    period: int,
    typed: Mapping[str, str],
    at: datetime,
    *,
    guessing: bool,
) -> None:
    if guessing:
        known = typed["treatment"] != UNKNOWN
        guess_services.record_guess(
            session,
            trial,
            period=period,
            treatment=typed["treatment"] if known else "",
            certainty=int(typed["certainty"]) if known else 0,
            why=typed.get("why", ""),
            now=at,
        )
    guess_services.record_impression(
        session,
        trial,
        period=period,
        change=int(typed["change"]) if typed.get("change") else None,
        words=typed.get("words", ""),
        preference=int(typed["preference"]) if typed.get("preference") else None,
        now=at,
    )


def _check(page: GuessPage, typed: Mapping[str, str]) -> FieldErrors:
    """Return what is missing: only the guess has to be given, how it was may be left out."""
    errors: FieldErrors = {}
    for name, options in (("change", page.changes), ("preference", page.preferences)):
        if typed.get(name) and typed[name] not in dict(options):
            errors[name] = _("Please choose one of the answers shown.")
    if page.options:
        if not typed.get("treatment"):
            errors["treatment"] = _("Please choose one, or that you do not know.")
        unsure = typed.get("certainty", "") not in dict(page.certainties)
        if typed.get("treatment") != UNKNOWN and unsure:
            errors["certainty"] = _("Please say how sure you are.")
    for name in ("words", "why"):
        if len(typed.get(name, "")) > LONGEST_WORDS:
            errors[name] = _("Please keep it under 500 characters.")
    return errors


def _guess_page(
    session: Session,
    choice: Choice,
    row: PeriodRow,
    protocol: Protocol,
    at: datetime,
    *,
    guessing: bool,
    typed: Mapping[str, str] | None = None,
    errors: FieldErrors | None = None,
    advice: tuple[Advice, ...] = (),
) -> GuessPage:
    trial = choice.trial
    candidates = sorted(protocol.candidates, key=lambda c: c.name.casefold())
    options = (*((c.treatment, c.name) for c in candidates), (UNKNOWN, str(_("I do not know"))))
    takes = Takes(session, trial, protocol)
    opened = guess_services.last_opening(session, trial, row.number)
    assert opened is not None  # noqa: S101  # the period is asked about
    return GuessPage(
        heading=_heading(takes, row),
        days=days_between(row.first_day, row.last_day),
        until=closing(opened + OPEN_FOR, at, zone_of(trial.timezone)),
        changes=tuple((str(step), str(_(name))) for step, name in CHANGES.items()),
        preferences=(
            *(
                (str(p.number), f"{takes.name(p.number)} ({days_between(p.first_day, p.last_day)})")
                for p in periods_of_trial(session, trial.id)
                if p.number <= row.number
            ),
            (str(NO_PREFERENCE), str(_("No preference"))),
            (str(NONE_OF_THEM), str(_("None of them"))),
        ),
        options=options if guessing else (),
        certainties=tuple((value, str(name)) for value, name in CERTAINTIES),
        home=choice.address("today"),
        typed=typed or {},
        errors=errors or {},
        advice=advice,
    )


def _heading(takes: Takes, row: PeriodRow) -> str:
    return str(_("How was it with %(what)s?", what=takes.name(row.number, in_sentence=True)))
