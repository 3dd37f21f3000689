"""The set-up page of a trial: one page, sections in the order of the conversation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.catalogue import Blindable, Kind, ProposedDays, Suitability, Treatment
from trials.domain.diary import FieldErrors
from trials.domain.errors import EditConflictError, StateError, TrialError
from trials.domain.protocol import Protocol
from trials.services import patients, trials
from trials.services.catalogue import catalogue, side_effect_terms
from trials.store.trial import TrialRow, latest_protocol
from trials.web.access import open_to
from trials.web.edge import current_actor, now, sentence_of, status_of, transaction
from trials.web.setup_form import Reading, read_form, untouched
from trials.web.setup_typed import (
    BOTHER,
    OWN,
    WEIGHING,
    Difference,
    Typed,
    differences,
    empty_form,
    typed_from,
    typed_of,
)

bp = Blueprint("setup", __name__, url_prefix="/clinician/trials")


@dataclass(frozen=True, slots=True)
class Size:
    """How long the trial would be."""

    total_days: int
    periods: int
    switches: int
    last_day: str


@dataclass(frozen=True, slots=True)
class SetupPage:
    """All that templates/clinician/setup.html may use.

    Attributes:
        typed: what stands in the fields.
        errors: field -> sentence.
        cautions: slot number -> sentence.
        patients: value and label of each patient to choose; () when the patient is fixed.
        patient: code of the fixed patient, "" for a new trial.
        menu: optgroups of the catalogue: heading and (id, label).
        terms: every side effect, as (key, label).
        union: labels of the side effects of the chosen candidates.
        proposed: lengths from the catalogue; None before two candidates are chosen.
        references: value and label of each possible reference.
        weighing: value and label of the weighing question's answers.
        size: of the trial; None while the design is incomplete.
        revision: of the draft, 0 for a new one.
        action: where the form goes.
        cancel: where "Cancel" leads.
        differences: what a colleague changed meanwhile.
        message: a sentence about the whole form.
        checked: whether the form was only checked, not kept.
        first_slots: how many candidates are shown at once; the others are folded away.
    """

    typed: Typed
    errors: FieldErrors
    cautions: Mapping[int, str]
    patients: tuple[tuple[str, str], ...]
    patient: str
    menu: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    terms: tuple[tuple[str, str], ...]
    union: tuple[str, ...]
    proposed: ProposedDays | None
    references: tuple[tuple[str, str], ...]
    weighing: tuple[tuple[str, str], ...]
    size: Size | None
    revision: int
    action: str
    cancel: str
    differences: tuple[Difference, ...] = ()
    message: str = ""
    checked: bool = False
    first_slots: int = 3


# ---- pages ---------------------------------------------------------------------------------------


@bp.get("/new")
@open_to(Role.CLINICIAN)
def new_trial() -> ResponseReturnValue:
    """Show an empty form, with the patient chosen if the address says so."""
    typed = empty_form(request.args.get("patient", ""))
    with transaction() as session:
        page = _new_page(session, typed, untouched())
    return render_template("clinician/setup.html", page=page)


@bp.post("/new")
@open_to(Role.CLINICIAN)
def create_trial() -> ResponseReturnValue:
    """Check the form, or keep it as a draft."""
    typed = typed_from(request.form)
    reading = read_form(typed)
    actor = current_actor()
    if "check" in request.form:
        with transaction() as session:
            page = _new_page(session, typed, reading)
        return render_template("clinician/setup.html", page=replace(page, checked=True))
    if not typed.get("patient"):
        reading.errors.setdefault("patient", str(_("Choose the patient.")))
    if reading.errors or reading.protocol is None:
        with transaction() as session:
            page = _new_page(session, typed, reading)
        return render_template("clinician/setup.html", page=page), 422
    try:
        with transaction() as session:
            patient = patients.get_patient(session, actor, typed.get("patient"))
            trial = trials.create_trial(
                session,
                actor,
                patient,
                title=typed.get("title"),
                protocol=reading.protocol,
                now=now(),
            )
            public_id = trial.public_id
    except TrialError as problem:
        with transaction() as session:
            page = _new_page(session, typed, reading)
        page = replace(page, message=sentence_of(problem))
        return render_template("clinician/setup.html", page=page), status_of(problem)
    flash(str(_("The draft is kept. Check it, then freeze it.")), "success")
    return redirect(url_for("clinician.show_trial", trial=public_id), code=303)


@bp.get("/<trial>/edit")
@open_to(Role.CLINICIAN)
def change_draft(trial: str) -> ResponseReturnValue:
    """Show the form of a draft."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        typed = typed_of(row.title, latest_protocol(session, row.id).value)
        page = _draft_page(row, typed, read_form(typed))
    return render_template("clinician/setup.html", page=page)


@bp.post("/<trial>/edit")
@open_to(Role.CLINICIAN)
def keep_draft(trial: str) -> ResponseReturnValue:
    """Check the form, or keep the changed draft."""
    typed = typed_from(request.form)
    reading = read_form(typed)
    actor = current_actor()
    only_check = "check" in request.form
    if only_check or reading.errors or reading.protocol is None:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            page = _draft_page(row, typed, reading, revision=_revision())
        page = replace(page, checked=only_check)
        return render_template("clinician/setup.html", page=page), 200 if only_check else 422
    try:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            trials.edit_draft(
                session,
                actor,
                row,
                revision=_revision(),
                title=typed.get("title"),
                protocol=reading.protocol,
                now=now(),
            )
    except (EditConflictError, StateError) as problem:
        return _conflict(trial, typed, reading, problem)
    except TrialError as problem:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            page = _draft_page(row, typed, reading, revision=_revision())
        page = replace(page, message=sentence_of(problem))
        return render_template("clinician/setup.html", page=page), status_of(problem)
    flash(str(_("The draft is kept.")), "success")
    return redirect(url_for("clinician.show_trial", trial=trial), code=303)


def _conflict(
    trial: str, typed: Typed, reading: Reading, problem: TrialError
) -> ResponseReturnValue:
    """Show what was typed beside what a colleague kept meanwhile; keeping again overwrites it."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        theirs = typed_of(row.title, latest_protocol(session, row.id).value)
        page = _draft_page(row, typed, reading)
    page = replace(
        page, message=sentence_of(problem), differences=tuple(differences(typed, theirs))
    )
    return render_template("clinician/setup.html", page=page), status_of(problem)


def _new_page(session: Session, typed: Typed, reading: Reading) -> SetupPage:
    found = patients.patients_of(session, current_actor())
    zone = next((p.timezone for p in found if p.public_id == typed.get("patient")), "UTC")
    return _page(
        typed,
        reading,
        today=local_day(now(), zone_of(zone)),
        patients=tuple((p.public_id, f"{p.code} · {p.name}") for p in found),
        action=url_for("setup.create_trial"),
        cancel=url_for("clinician.list_trials"),
    )


def _draft_page(
    trial: TrialRow, typed: Typed, reading: Reading, *, revision: int | None = None
) -> SetupPage:
    page = _page(
        typed,
        reading,
        today=local_day(now(), zone_of(trial.timezone)),
        action=url_for("setup.keep_draft", trial=trial.public_id),
        cancel=url_for("clinician.show_trial", trial=trial.public_id),
    )
    shown = trial.revision if revision is None else revision
    return replace(page, patient=trial.patient.code, revision=shown)


def _page(
    typed: Typed,
    reading: Reading,
    *,
    today: date,
    action: str,
    cancel: str,
    patients: tuple[tuple[str, str], ...] = (),
) -> SetupPage:
    chosen = sum(not slot.is_empty for slot in typed.slots)
    return SetupPage(
        typed=typed,
        errors=reading.errors,
        cautions=reading.cautions,
        patients=patients,
        patient="",
        menu=_menu(),
        terms=tuple((key, term.label) for key, term in side_effect_terms().items()),
        union=tuple(str(_(term.label)) for term in reading.terms),
        proposed=reading.proposed if chosen >= 2 else None,
        references=_references(typed),
        weighing=_weighing(typed.get("weighing")),
        size=_size(reading.protocol, today),
        revision=0,
        action=action,
        cancel=cancel,
        first_slots=max(3, chosen),
    )


def _revision() -> int:
    return request.form.get("revision", 0, type=int)


# ---- what the page shows -------------------------------------------------------------------------


def _menu() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return the catalogue in groups: the short menu first, everything else behind."""
    everything = list(catalogue().values())
    groups: list[tuple[str, Iterable[Treatment]]] = [
        (_("Most used"), (t for t in everything if t.core)),
        (_("More drugs"), (t for t in everything if not t.core and t.kind is Kind.DRUG)),
        (
            _("More without drugs"),
            (t for t in everything if not t.core and t.kind is Kind.NON_DRUG),
        ),
        (
            _("More comparators"),
            (t for t in everything if not t.core and t.kind is Kind.COMPARATOR),
        ),
    ]
    listed = [(str(head), tuple((t.id, _label(t)) for t in group)) for head, group in groups]
    own = (str(_("Not in the list")), ((OWN, str(_("Our own treatment (type its name)"))),))
    return (*(group for group in listed if group[1]), own)


def _label(treatment: Treatment) -> str:
    dose = f": {treatment.usual_dose}" if treatment.usual_dose else ""
    note = ""
    if treatment.suitability is Suitability.UNSUITABLE:
        note = str(_(" (not as a repeated arm)"))
    elif treatment.blindable is Blindable.NO:
        note = str(_(" (open trials only)"))
    return f"{treatment.name}{dose}{note}"


def _references(typed: Typed) -> tuple[tuple[str, str], ...]:
    found = []
    for number, slot in enumerate(typed.slots, start=1):
        known = catalogue().get(slot.treatment)
        name = known.name if known else slot.name
        label = _("Candidate %(number)s", number=number)
        found.append((str(number), f"{label}: {name}" if name else str(label)))
    return tuple(found)


def _weighing(chosen: str) -> tuple[tuple[str, str], ...]:
    offered = [str(points) for points in WEIGHING]
    if chosen and chosen not in offered:
        offered.append(chosen)
    return tuple((points, _weighing_label(points)) for points in offered)


def _weighing_label(points: str) -> str:
    if points == "0":
        return str(_("None: only pain counts, side effects do not"))
    if points == str(BOTHER):
        return str(_("%(points)s points: such a day is as bad as that much pain", points=points))
    if points == "1":
        return str(_("1 point less pain"))
    return str(_("%(points)s points less pain", points=points))


def _size(protocol: Protocol | None, today: date) -> Size | None:
    if protocol is None:
        return None
    design = protocol.design
    last = today + timedelta(days=design.total_days - 1)
    return Size(
        total_days=design.total_days,
        periods=design.periods,
        switches=design.periods - 1,
        last_day=format_date(last, "full"),
    )
