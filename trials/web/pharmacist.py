"""The pharmacist's pages: what is in which box, labels that do not say it, and the emergency.

The pharmacist is the one reader of a blinded trial's allocation. Reading it is a deed of its own
(a button, not a link) because each reading is recorded. Nothing here can change a sequence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, format_datetime, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role
from trials.domain.diary import FieldErrors
from trials.domain.errors import NotFoundError, TrialError
from trials.domain.life_cycle import State
from trials.domain.words import marked
from trials.services import allocation, trials
from trials.services.adverse_events import Told, told_to_pharmacist
from trials.services.allocation import Opening, UnblindingReason
from trials.services.emergency import REASONS, open_code
from trials.services.guesses import may_guess
from trials.services.overview import TrialOverview, trials_of
from trials.store.trial import TrialRow, frozen_protocol, periods_of_trial
from trials.web.access import open_to
from trials.web.edge import (
    absolute_url,
    current_account,
    current_actor,
    now,
    sentence_of,
    status_of,
    transaction,
    vault,
)
from trials.web.local_words import days_between
from trials.web.menu import MenuItem

bp = Blueprint("pharmacist", __name__, url_prefix="/pharmacist")

MENU = (
    MenuItem(
        Role.PHARMACIST,
        lazy_gettext("Dispensing"),
        "pharmacist.list_trials",
        also=(
            "pharmacist.show_trial",
            "pharmacist.show_dispensing",
            "pharmacist.show_labels",
            "pharmacist.ask_to_open",
            "pharmacist.open_period",
        ),
    ),
)

TO_DISPENSE = frozenset({State.READY, State.RUNNING, State.PAUSED})
LONGEST_EXPLANATION = 500


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One trial of the list."""

    href: str
    patient: str
    title: str
    state: State
    is_open: bool
    starts: str
    period: str


@dataclass(frozen=True, slots=True)
class TrialsPage:
    """All that templates/pharmacist/trials.html may use.

    Attributes:
        current: trials that need kits now or soon.
        past: trials that are over.
        showing_past: whether those are listed.
    """

    current: tuple[TrialLine, ...]
    past: tuple[TrialLine, ...]
    showing_past: bool


@dataclass(frozen=True, slots=True)
class OpeningLine:
    """One time the code was opened; what was found is not kept."""

    at: str
    period: str
    reason: str
    by: str
    explanation: str


@dataclass(frozen=True, slots=True)
class TrialPage:
    """All that templates/pharmacist/trial.html may use.

    Attributes:
        title: of the trial.
        trial_id: on labels.
        patient: the patient's code.
        state: where the trial stands.
        is_open: whether the treatments are known to all.
        facts: heading and value of what is agreed.
        candidates: name and dose of each treatment, in no meaningful order.
        commitment: published at the freeze.
        openings: of the code, newest first.
        events: that there are serious events, and since when; nothing of what they are.
        list_href: opens the dispensing list (POST: the reading is recorded).
        labels_href: kit labels.
        emergency_href: opens the code of one period; "" in an open trial.
    """

    title: str
    trial_id: str
    patient: str
    state: State
    is_open: bool
    facts: tuple[tuple[str, str], ...]
    candidates: tuple[tuple[str, str], ...]
    commitment: str
    openings: tuple[OpeningLine, ...]
    events: tuple[str, ...]
    list_href: str
    labels_href: str
    emergency_href: str


@dataclass(frozen=True, slots=True)
class KitLine:
    """One period of the dispensing list."""

    period: int
    days: str
    kit: str
    treatment: str
    dose: str


@dataclass(frozen=True, slots=True)
class DispensingPage:
    """All that templates/pharmacist/dispensing.html may use. It contains the allocation."""

    title: str
    trial_id: str
    patient: str
    lines: tuple[KitLine, ...]
    days_per_period: int
    commitment: str
    read_at: str
    read_by: str
    back: str


@dataclass(frozen=True, slots=True)
class Label:
    """One label. It says nothing about the treatment (rule B-10)."""

    site: str
    trial_id: str
    patient: str
    period: int
    periods: int
    kit: str
    days: str


@dataclass(frozen=True, slots=True)
class LabelsPage:
    """All that templates/pharmacist/labels.html may use."""

    patient: str
    title: str
    labels: tuple[Label, ...]
    back: str


@dataclass(frozen=True, slots=True)
class EmergencyPage:
    """All that templates/pharmacist/emergency.html may use.

    Attributes:
        patient: the patient's code.
        title: of the trial.
        periods: value and label of each period.
        reasons: value and label of each reason.
        typed: field -> text.
        errors: field -> sentence.
        message: a sentence about the whole form.
        action: where the form goes.
        back: the trial.
    """

    patient: str
    title: str
    periods: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, str], ...]
    typed: Mapping[str, str]
    errors: FieldErrors
    message: str
    action: str
    back: str


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """All that templates/pharmacist/opened.html may use. Shown once, kept nowhere."""

    patient: str
    title: str
    period: int
    treatment: str
    reason: str
    at: str
    back: str


@bp.get("/trials")
@open_to(Role.PHARMACIST)
def list_trials() -> ResponseReturnValue:
    """Show the trials whose sequence is drawn."""
    with transaction() as session:
        found = trials_of(session, current_actor(), now())
    drawn = [t for t in found if t.state is not State.DRAFT]
    page = TrialsPage(
        current=tuple(_line(t) for t in drawn if t.state in TO_DISPENSE),
        past=tuple(_line(t) for t in drawn if t.state not in TO_DISPENSE),
        showing_past=request.args.get("past") == "yes",
    )
    return render_template("pharmacist/trials.html", page=page)


@bp.get("/trials/<trial>")
@open_to(Role.PHARMACIST)
def show_trial(trial: str) -> ResponseReturnValue:
    """Show a trial without its allocation."""
    with transaction() as session:
        row = _drawn_trial(session, trial)
        page = _trial_page(session, row)
    return render_template("pharmacist/trial.html", page=page)


@bp.post("/trials/<trial>/dispensing")
@open_to(Role.PHARMACIST)
def show_dispensing(trial: str) -> ResponseReturnValue:
    """Show what is in which box; every time it is shown is recorded."""
    at = now()
    with transaction() as session:
        row = _drawn_trial(session, trial)
        found = allocation.dispensing_list(session, vault(), current_actor(), row, at)
        page = DispensingPage(
            title=row.title,
            trial_id=row.public_id,
            patient=row.patient.code,
            lines=tuple(
                KitLine(
                    period=p.period,
                    days=(
                        days_between(p.first_day, p.last_day) if p.first_day and p.last_day else ""
                    ),
                    kit=p.kit,
                    treatment=p.name,
                    dose=p.dose,
                )
                for p in found.periods
            ),
            days_per_period=found.days_per_period,
            commitment=found.commitment,
            read_at=format_datetime(at, "medium"),
            read_by=current_account().name,
            back=_href(row),
        )
    return render_template("pharmacist/dispensing.html", page=page)


@bp.get("/trials/<trial>/labels")
@open_to(Role.PHARMACIST)
def show_labels(trial: str) -> ResponseReturnValue:
    """Show a label for each kit, to be printed."""
    with transaction() as session:
        row = _drawn_trial(session, trial)
        kits = allocation.kits_of(session, vault(), row)
        rows = {p.number: p for p in periods_of_trial(session, row.id)}
        page = LabelsPage(
            patient=row.patient.code,
            title=row.title,
            labels=tuple(
                Label(
                    site=row.site.name,
                    trial_id=row.public_id,
                    patient=row.patient.code,
                    period=number,
                    periods=len(kits),
                    kit=kit,
                    days=(
                        days_between(rows[number].first_day, rows[number].last_day)
                        if number in rows
                        else ""
                    ),
                )
                for number, kit in enumerate(kits, start=1)
            ),
            back=_href(row),
        )
    return render_template("pharmacist/labels.html", page=page)


@bp.get("/trials/<trial>/emergency")
@open_to(Role.PHARMACIST, fresh=True)
def ask_to_open(trial: str) -> ResponseReturnValue:
    """Ask which period's code must be opened, and why."""
    with transaction() as session:
        row = _drawn_trial(session, trial)
        page = _emergency_page(session, row, {}, {})
    return render_template("pharmacist/emergency.html", page=page)


@bp.post("/trials/<trial>/emergency")
@open_to(Role.PHARMACIST, fresh=True)
def open_period(trial: str) -> ResponseReturnValue:
    """Open the code of one period and show it this once."""
    typed = {
        "period": request.form.get("period", ""),
        "reason": request.form.get("reason", ""),
        "explanation": request.form.get("explanation", "")[:LONGEST_EXPLANATION],
        "sure": request.form.get("sure", ""),
    }
    actor, at = current_actor(), now()
    errors = _check(typed)
    if errors:
        with transaction() as session:
            row = _drawn_trial(session, trial)
            page = _emergency_page(session, row, typed, errors)
        return render_template("pharmacist/emergency.html", page=page), 422
    reason = UnblindingReason(typed["reason"])
    address = absolute_url("clinician.show_trial", trial=trial)
    try:
        with transaction() as session:
            row = _drawn_trial(session, trial)
            found = open_code(
                session,
                vault(),
                actor,
                row,
                period=int(typed["period"]),
                reason=reason,
                explanation=typed["explanation"],
                address=address,
                now=at,
            )
            opened = OpenedPage(
                patient=row.patient.code,
                title=row.title,
                period=int(typed["period"]),
                treatment=found,
                reason=_reasons()[reason],
                at=format_datetime(at, "long"),
                back=_href(row),
            )
    except NotFoundError:
        raise
    except TrialError as problem:
        with transaction() as session:
            row = _drawn_trial(session, trial)
            page = _emergency_page(session, row, typed, {}, sentence_of(problem))
        return render_template("pharmacist/emergency.html", page=page), status_of(problem)
    return render_template("pharmacist/opened.html", page=opened)


def _drawn_trial(session: Session, trial: str) -> TrialRow:
    """Return a trial whose sequence is drawn; a draft is none of the pharmacist's business."""
    row = trials.get_trial(session, current_actor(), trial)
    if row.current_state is State.DRAFT or frozen_protocol(session, row.id) is None:
        raise NotFoundError(marked("There is no such trial."))
    return row


def _href(trial: TrialRow) -> str:
    return url_for("pharmacist.show_trial", trial=trial.public_id)


def _line(overview: TrialOverview) -> TrialLine:
    period = ""
    if overview.period:
        period = _("%(number)s of %(of)s", number=overview.period, of=overview.periods)
    return TrialLine(
        href=url_for("pharmacist.show_trial", trial=overview.public_id),
        patient=overview.patient,
        title=overview.title,
        state=overview.state,
        is_open=overview.blinding is Blinding.OPEN,
        starts=format_date(overview.start_day, "medium") if overview.start_day else "",
        period=period,
    )


def _told(event: Told) -> str:
    """Return that there is an event; what it is, the clinician tells where it is needed."""
    return str(
        _(
            "Event %(number)s, known since %(when)s",
            number=event.number,
            when=format_datetime(event.known_at, "short"),
        )
    )


def _trial_page(session: Session, trial: TrialRow) -> TrialPage:
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None  # noqa: S101  # _drawn_trial saw to it
    protocol = frozen.value
    design = protocol.design
    own = trial.public_id
    is_open = trial.how_blinded is Blinding.OPEN
    return TrialPage(
        title=trial.title,
        trial_id=own,
        patient=trial.patient.code,
        state=trial.current_state,
        is_open=is_open,
        facts=(
            (str(_("Kits")), str(design.periods)),
            (str(_("Days in a kit")), str(design.period_days)),
            (
                str(_("First day")),
                format_date(trial.start_day, "full") if trial.start_day else str(_("not set yet")),
            ),
            (str(_("Protocol version")), str(frozen.version)),
        ),
        candidates=tuple((c.name, c.dose) for c in protocol.candidates),
        commitment=allocation.commitment_of(session, trial),
        openings=tuple(_opening(o) for o in reversed(allocation.openings(session, trial))),
        events=tuple(map(_told, told_to_pharmacist(session, current_actor(), trial))),
        list_href=url_for("pharmacist.show_dispensing", trial=own),
        labels_href=url_for("pharmacist.show_labels", trial=own),
        emergency_href="" if is_open else url_for("pharmacist.ask_to_open", trial=own),
    )


def _emergency_page(
    session: Session,
    trial: TrialRow,
    typed: Mapping[str, str],
    errors: FieldErrors,
    message: str = "",
) -> EmergencyPage:
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None  # noqa: S101  # _drawn_trial saw to it
    rows = {p.number: p for p in periods_of_trial(session, trial.id)}
    current = next((n for n, p in rows.items() if p.state == "current"), None)
    return EmergencyPage(
        patient=trial.patient.code,
        title=trial.title,
        periods=tuple(
            (
                str(number),
                _period_label(number, rows.get(number), current)
                + _guess_note(session, trial, number),
            )
            for number in range(1, frozen.value.design.periods + 1)
        ),
        reasons=tuple((reason.value, label) for reason, label in _reasons().items()),
        typed={"period": "", "reason": "", "explanation": "", "sure": "", **typed},
        errors=errors,
        message=message,
        action=url_for("pharmacist.open_period", trial=trial.public_id),
        back=_href(trial),
    )


def _guess_note(session: Session, trial: TrialRow, period: int) -> str:
    """Return the warning that opening this code loses the patient's guess (rule D-15)."""
    if not may_guess(session, trial, period):
        return ""
    return " " + str(_("(the patient has not guessed it yet; after the opening it is not asked)"))


def _period_label(number: int, row: object, current: int | None) -> str:
    first, last = getattr(row, "first_day", None), getattr(row, "last_day", None)
    label = str(_("Period %(number)s", number=number))
    if first and last:
        label = f"{label}: {days_between(first, last)}"
    return f"{label} ({_('now')})" if number == current else label


def _check(typed: Mapping[str, str]) -> FieldErrors:
    errors: FieldErrors = {}
    if not typed["period"].isdigit():
        errors["period"] = str(_("Choose the period whose code must be opened."))
    if typed["reason"] not in set(REASONS):
        errors["reason"] = str(_("Choose the reason."))
    if not typed["explanation"].strip():
        errors["explanation"] = str(_("Say in a few words why the code must be opened."))
    if typed["sure"] != "yes":
        errors["sure"] = str(_("Confirm that the treatment has to be known."))
    return errors


def _reasons() -> dict[UnblindingReason, str]:
    labels = {
        UnblindingReason.SERIOUS_ADVERSE_EVENT: _("Serious adverse event that needs treatment"),
        UnblindingReason.OVERDOSE: _("Overdose"),
        UnblindingReason.PREGNANCY: _("Pregnancy"),
        UnblindingReason.OTHER: _("Another reason"),
    }
    return {reason: str(labels[reason]) for reason in REASONS}


def _opening(opening: Opening) -> OpeningLine:
    at: datetime = opening.at
    whole = opening.reason is UnblindingReason.RELEASE
    return OpeningLine(
        at=format_datetime(at, "medium"),
        period=str(_("all") if whole else opening.period),
        reason=str(_("Release of the result")) if whole else _reasons()[opening.reason],
        by=opening.by,
        explanation=opening.explanation,
    )
