"""The patient's pages: today, the diary, own entries, the guess, and the way out.

Everything here is read by somebody tired, in pain and with sore hands: one thing at a time,
large targets, short sentences, and no state without a page that says what it means. While a
trial is blinded these pages know box numbers only.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from http import HTTPStatus
from uuid import uuid4
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import Phase, local_day, zone_of
from trials.domain.canonical import canonical_hash
from trials.domain.diary import Answers, FieldErrors, Intake, Questionnaire, Source, check_answers
from trials.domain.errors import (
    DiaryClosedError,
    EditConflictError,
    NotFoundError,
    StateError,
    TrialError,
)
from trials.domain.life_cycle import RESULT_KNOWN, UNDER_WAY, State
from trials.domain.protocol import Candidate, Protocol
from trials.domain.words import marked
from trials.services import allocation, diary, notices
from trials.services import guesses as guess_services
from trials.services import running as running_services
from trials.services.actor import Actor
from trials.store.diary import (
    DiaryDayRow,
    DiaryEntryRow,
    days_of_trial,
    entry_with_key,
    find_day,
    latest_entry,
)
from trials.store.trial import (
    PeriodRow,
    TrialRow,
    decision_on,
    frozen_protocol,
    guesses_of_trial,
    periods_of_trial,
    trials_of_patient,
)
from trials.web import charts, plain_result
from trials.web.access import open_to_patient
from trials.web.edge import (
    absolute_url,
    current_actor,
    current_patient,
    now,
    sentence_of,
    status_of,
    transaction,
    vault,
)
from trials.web.local_words import city, clock, closing, day_name, days_between, near_day, opening
from trials.web.menu import MenuItem

bp = Blueprint("patient", __name__)

MENU = (
    MenuItem(
        Role.PATIENT,
        lazy_gettext("Today"),
        "patient.today",
        also=("patient.show_diary", "patient.submit_diary", "patient.thanks", "patient.guess"),
    ),
    MenuItem(Role.PATIENT, lazy_gettext("My reports"), "patient.entries"),
    MenuItem(Role.PATIENT, lazy_gettext("My result"), "patient.result"),
    MenuItem(
        Role.PATIENT,
        lazy_gettext("My clinic"),
        "patient.clinic",
        also=("patient.pause", "patient.stop"),
    ),
)

MOST_DOSES_BY_TAP = 4
"""Doses that have a button of their own; more are typed."""

NO_REASON_FOR_PAUSE = marked("The patient asked for a pause and gave no reason.")
NO_REASON_FOR_STOP = marked("The patient ended the trial and gave no reason.")

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEY = re.compile(r"[0-9A-Za-z-]{16,64}")
_FIRST_SHOWN = (
    UNDER_WAY,
    frozenset({State.READY}),
    frozenset({State.COMPLETED, State.STOPPED, State.ANALYSED}) | RESULT_KNOWN,
    frozenset({State.DRAFT}),
)
"""Of several trials: the one under way, the one about to begin, the newest that ended."""


# ---- which trial ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrialLink:
    """Another trial of the same patient."""

    title: str
    state: str
    href: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The trial a page is about.

    Attributes:
        trial: the row, used by the view only.
        named: whether the address names it; a patient's main trial needs no name.
        others: the patient's other trials.
    """

    trial: TrialRow
    named: bool
    others: tuple[TrialLink, ...]

    def address(self, endpoint: str, **values: object) -> str:
        """Return the address of another page about the same trial."""
        if self.named:
            values["trial"] = self.trial.public_id
        return url_for(f"patient.{endpoint}", **values)  # type: ignore[arg-type]


def own_trials(session: Session) -> list[TrialRow]:
    """Return the patient's trials, the one that matters now first."""
    rows = trials_of_patient(session, current_patient().id)
    return sorted(rows, key=_rank)  # stable: within a rank the newest stays first


def _rank(trial: TrialRow) -> int:
    return next(n for n, states in enumerate(_FIRST_SHOWN) if trial.current_state in states)


def choose_trial(session: Session, day: date | None = None) -> Choice:
    """Return the trial the address names, else the one this day belongs to, else the main one.

    Raises:
        NotFoundError: the patient has no trial, or none with this name.
    """
    own = own_trials(session)
    wanted = request.args.get("trial", "")
    if wanted:
        trial = next((t for t in own if t.public_id == wanted), None)
    else:
        trial = _trial_of_day(session, own, day) or (own[0] if own else None)
    if trial is None:
        raise NotFoundError(marked("There is no such trial."))
    others = tuple(
        TrialLink(t.title, t.state, url_for("patient.today", trial=t.public_id))
        for t in own
        if t is not trial
    )
    return Choice(trial, trial is not own[0], others)


def _trial_of_day(session: Session, own: list[TrialRow], day: date | None) -> TrialRow | None:
    if day is None:
        return None
    return next((t for t in own if find_day(session, t.id, day) is not None), None)


# ---- today ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Take:
    """What to take.

    Attributes:
        kit: number of the box in groups, "" in an open trial.
        treatment: name, "" while blinded.
        dose: likewise.
    """

    kit: str = ""
    treatment: str = ""
    dose: str = ""


@dataclass(frozen=True, slots=True)
class OpenDay:
    """A diary day that can be answered or corrected now."""

    name: str
    near: str
    href: str
    until: str
    late: bool
    answered: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A period whose guess is asked for."""

    days: str
    box: str
    href: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the trial is, and how many of the days that are settled were reported."""

    day: int
    total: int
    reported: int
    due: int


@dataclass(frozen=True, slots=True)
class TodayPage:
    """All that templates/patient/today.html may use.

    Attributes:
        situation: "none", "planned", "ready", "waiting", "running", "over", "paused",
            "stopped", "finished", "analysed" or "result".
        day: today's date in words.
        title: of the trial.
        question: what the trial is to find out.
        take: what to take now; None if nothing of this trial.
        next_take: what to take from tomorrow, on the last day of a period.
        run_in: whether the patient goes on with what was taken before.
        is_new_box: whether today is the first day of a box.
        to_answer: days to fill in now, today's first.
        answered: days reported that can still be corrected.
        opens: when the next diary opens, "" if none does.
        begins: first day of a trial that has not begun.
        days_to_begin: until then.
        last_day: of the trial.
        progress: None before the start.
        waiting: guesses to be asked.
        decided: whether a decision was signed.
        zone: place whose clock counts.
        others: other trials.
        links: addresses of the pages about this trial.
    """

    situation: str
    day: str
    title: str = ""
    question: str = ""
    take: Take | None = None
    next_take: Take | None = None
    run_in: bool = False
    is_new_box: bool = False
    to_answer: tuple[OpenDay, ...] = ()
    answered: tuple[OpenDay, ...] = ()
    opens: str = ""
    begins: str = ""
    days_to_begin: int = 0
    last_day: str = ""
    progress: Progress | None = None
    waiting: tuple[Waiting, ...] = ()
    decided: bool = False
    zone: str = ""
    others: tuple[TrialLink, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


@bp.get("/today")
@open_to_patient
def today() -> ResponseReturnValue:
    """Show what there is to do now."""
    at = now()
    with transaction() as session:
        if not own_trials(session):
            zone = zone_of(current_patient().timezone)
            return _render("today", TodayPage("none", day_name(local_day(at, zone))))
        page = _today_page(session, choose_trial(session), at)
    return _render("today", page)


def _today_page(session: Session, choice: Choice, at: datetime) -> TodayPage:
    trial = choice.trial
    zone = zone_of(trial.timezone)
    now_open = diary.today(session, trial, at)
    frozen = frozen_protocol(session, trial.id)
    rows = [r for r in days_of_trial(session, trial.id) if r.state != "cancelled"]
    situation = _situation(trial, now_open.local_date, rows)
    days = [_open_day(choice, d, at, zone) for d in reversed(now_open.open_days)]
    row_today = next((r for r in rows if r.day == now_open.local_date), None)
    takes = _Takes(session, trial, frozen.value if frozen else None)
    running = situation == "running"
    return TodayPage(
        situation=situation,
        day=day_name(now_open.local_date),
        title=trial.title,
        question=frozen.value.question if frozen else "",
        take=takes.of(now_open.period) if running else None,
        next_take=takes.after(now_open.period, now_open.local_date) if running else None,
        run_in=running and row_today is not None and row_today.phase == Phase.RUN_IN,
        is_new_box=takes.begins(now_open.period, now_open.local_date),
        to_answer=tuple(d for d in days if not d.answered),
        answered=tuple(d for d in days if d.answered),
        opens=opening(now_open.next_opens_at, at, zone) if now_open.next_opens_at else "",
        begins=day_name(trial.start_day) if trial.start_day else "",
        days_to_begin=(trial.start_day - now_open.local_date).days if trial.start_day else 0,
        last_day=day_name(rows[-1].day) if rows else "",
        progress=_progress(session, trial, now_open, at),
        waiting=tuple(
            _waiting(choice, p) for p in guess_services.guesses_to_ask(session, trial, at)
        ),
        decided=decision_on(session, trial.id) is not None,
        zone=city(zone),
        others=choice.others,
        links={name: choice.address(name) for name in ("entries", "result", "clinic")},
    )


def _situation(trial: TrialRow, today: date, rows: list[DiaryDayRow]) -> str:
    """Return in which of a patient's situations the trial is."""
    state = trial.current_state
    if state is State.RUNNING and rows:
        if today < rows[0].day:
            return "waiting"
        return "running" if today <= rows[-1].day else "over"
    return {
        State.DRAFT: "planned",
        State.READY: "ready",
        State.PAUSED: "paused",
        State.STOPPED: "stopped",
        State.COMPLETED: "finished",
        State.ANALYSED: "analysed",
    }.get(state, "result")


def _open_day(choice: Choice, day: diary.DayToAnswer, at: datetime, zone: ZoneInfo) -> OpenDay:
    return OpenDay(
        name=day_name(day.day),
        near=near_day(day.day, local_day(at, zone)),
        href=choice.address("show_diary", day=day.day.isoformat()),
        until=closing(day.next_limit, at, zone),
        late=day.late,
        answered=day.answered,
    )


def _progress(
    session: Session, trial: TrialRow, now_open: diary.Today, at: datetime
) -> Progress | None:
    if not now_open.day_number:
        return None
    done = diary.adherence(session, trial, at)
    settled = done.answered + done.missed
    return Progress(now_open.day_number, now_open.total_days, done.answered, settled)


def _waiting(choice: Choice, period: PeriodRow) -> Waiting:
    return Waiting(
        days=days_between(period.first_day, period.last_day),
        box=grouped(period.kit),
        href=choice.address("guess", period=period.number),
    )


class _Takes:
    """What is taken in each period: a treatment where it is no secret, else a box."""

    def __init__(self, session: Session, trial: TrialRow, protocol: Protocol | None) -> None:
        self.periods = {p.number: p for p in periods_of_trial(session, trial.id)}
        self.protocol = protocol
        known = None
        if trial.how_blinded is Blinding.OPEN:
            known = allocation.known_treatments(session, vault(), Role.PATIENT, trial)
        self.treatments = known or {}

    def of(self, number: int) -> Take | None:
        """Return what is taken in this period; None outside the periods."""
        period = self.periods.get(number)
        if period is None:
            return None
        if self.protocol is not None and number in self.treatments:
            candidate: Candidate = self.protocol.candidate(self.treatments[number])
            return Take(treatment=candidate.name, dose=candidate.dose)
        return Take(kit=grouped(period.kit))

    def after(self, number: int, today: date) -> Take | None:
        """Return what is taken from tomorrow, if a new period begins."""
        tomorrow = today + timedelta(days=1)
        later = next((p for p in self.periods.values() if p.first_day == tomorrow), None)
        return self.of(later.number) if later is not None and later.number != number else None

    def begins(self, number: int, today: date) -> bool:
        """Return whether this period begins today and follows another."""
        period = self.periods.get(number)
        return period is not None and period.first_day == today and number > 1


def grouped(kit: str) -> str:
    """Return a box number as it is printed on the box, in groups that stay on one line."""
    return "\N{NO-BREAK SPACE}".join(part for part in (kit[:2], kit[2:5], kit[5:]) if part)


# ---- the diary -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DiaryPage:
    """All that templates/patient/diary.html may use. It knows no earlier answer.

    Attributes:
        day: date in words.
        near: "today", "yesterday" or the date.
        is_today: whether the day is the present one.
        late: whether an answer now is marked as late.
        until: until when it can be sent.
        replaces: whether there is a report already, which this one replaces.
        questionnaire: what is asked.
        doses: rescue doses that have a button.
        key: of this form; the same form sent twice is one report.
        action: where it goes.
        back: where "not now" goes.
        typed: what was typed, after an error.
        errors: sentences by field, in the order of the page.
    """

    day: str
    near: str
    is_today: bool
    late: bool
    until: str
    replaces: bool
    questionnaire: Questionnaire
    key: str
    action: str
    back: str
    doses: range = range(MOST_DOSES_BY_TAP + 1)
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClosedPage:
    """All that templates/patient/closed.html may use: why a day cannot be answered.

    Attributes:
        day: date in words, "" if the address holds no date.
        sentence: why.
        typed: whether something had been filled in, which is not kept.
        early: whether it opens later; ``opens`` then says when.
        opens: else when the next diary opens, "" if none does.
        others: days that are open.
        home: the first page.
        clinic: where the clinic is asked.
    """

    day: str
    sentence: str
    typed: bool
    early: bool
    opens: str
    others: tuple[OpenDay, ...]
    home: str
    clinic: str


@bp.get("/diary/<day>")
@open_to_patient
def show_diary(day: str) -> ResponseReturnValue:
    """Show the form of one day, always empty."""
    at = now()
    with transaction() as session:
        asked = _date(day)
        choice = choose_trial(session, asked)
        try:
            is_open = diary.open_day(session, choice.trial, asked, at)
        except DiaryClosedError as problem:
            closed = _closed_page(session, choice, asked, problem, at)
            return _render("closed", closed), HTTPStatus.CONFLICT
        page = _diary_page(session, choice, is_open, at, key=str(uuid4()))
    return _render("diary", page)


@bp.post("/diary/<day>")
@open_to_patient
def submit_diary(day: str) -> ResponseReturnValue:
    """Keep the answers, or show the form again with what is missing."""
    at = now()
    typed = _typed(request.form)
    key = typed["key"] if _KEY.fullmatch(typed.get("key", "")) else str(uuid4())
    with transaction() as session:
        asked = _date(day)
        choice = choose_trial(session, asked)
        try:
            questionnaire = diary.questionnaire_of(session, choice.trial)
            answers, errors = check_answers(questionnaire, with_typed_doses(typed))
            if answers is None:
                is_open = diary.open_day(session, choice.trial, asked, at)
                page = _diary_page(
                    session, choice, is_open, at, key=key, typed=typed, errors=errors
                )
                return _render("diary", page), HTTPStatus.UNPROCESSABLE_ENTITY
            keep(session, choice.trial, asked, answers, author=current_actor(), key=key, at=at)
        except DiaryClosedError as problem:
            closed = _closed_page(session, choice, asked, problem, at, typed=True)
            return _render("closed", closed), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(choice.address("thanks", day=asked.isoformat()), code=303)


def keep(
    session: Session,
    trial: TrialRow,
    day: date,
    answers: Answers,
    *,
    author: Actor,
    key: str,
    at: datetime,
) -> diary.Receipt:
    """Keep one report; the same form sent again with the same answers changes nothing.

    A form that comes back from the browser's history keeps its key. If its answers were
    changed meanwhile it is a correction and must not be taken for the first one.
    """
    receipt = diary.record_entry(
        session, trial, day, answers, source=Source.PATIENT, author=author, key=key, now=at
    )
    kept = entry_with_key(session, key)
    if receipt.repeated and kept is not None and kept.answers != answers:
        changed = f"{key}:{canonical_hash(answers)[:16]}"
        return diary.record_entry(
            session, trial, day, answers, source=Source.PATIENT, author=author, key=changed, now=at
        )
    return receipt


def with_typed_doses(form: Mapping[str, str]) -> dict[str, str]:
    """Return the form with one number of rescue doses, by button or typed.

    "More" without a number stays as it is and is asked for again.
    """
    fields = dict(form)
    more = fields.pop("more_doses", "").strip()
    if more and fields.get("rescue_doses", "more") in {"", "more"}:
        fields["rescue_doses"] = more
    return fields


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if name != "csrf_token"}


def _date(text: str) -> date:
    """Return the date an address names.

    Raises:
        NotFoundError: it is none.
    """
    try:
        if _ISO_DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise NotFoundError(marked("There is no such day."))


def _diary_page(
    session: Session,
    choice: Choice,
    is_open: diary.DayToAnswer,
    at: datetime,
    *,
    key: str,
    typed: Mapping[str, str] | None = None,
    errors: FieldErrors | None = None,
) -> DiaryPage:
    zone = zone_of(choice.trial.timezone)
    today = local_day(at, zone)
    return DiaryPage(
        day=day_name(is_open.day),
        near=near_day(is_open.day, today),
        is_today=is_open.day == today,
        late=is_open.late,
        until=closing(is_open.next_limit, at, zone),
        replaces=is_open.answered,
        questionnaire=diary.questionnaire_of(session, choice.trial),
        key=key,
        action=choice.address("submit_diary", day=is_open.day.isoformat()),
        back=choice.address("today"),
        typed=typed or {},
        errors={name: str(_(sentence)) for name, sentence in (errors or {}).items()},
    )


def _closed_page(
    session: Session,
    choice: Choice,
    day: date,
    problem: DiaryClosedError,
    at: datetime,
    *,
    typed: bool = False,
) -> ClosedPage:
    zone = zone_of(choice.trial.timezone)
    now_open = diary.today(session, choice.trial, at)
    row = find_day(session, choice.trial.id, day)
    early = row is not None and at < row.opens_at and row.state in {"planned", "open"}
    opens_at = row.opens_at if row is not None and early else now_open.next_opens_at
    return ClosedPage(
        day=day_name(day) if row is not None else "",
        sentence=_with_day_in_words(problem),
        typed=typed,
        early=early,
        opens=opening(opens_at, at, zone) if opens_at else "",
        others=tuple(_open_day(choice, d, at, zone) for d in reversed(now_open.open_days)),
        home=choice.address("today"),
        clinic=choice.address("clinic"),
    )


def _with_day_in_words(problem: TrialError) -> str:
    """Return the sentence with its date as people write it, not as addresses do."""
    values = dict(problem.values)
    if isinstance(values.get("day"), str):
        values["day"] = day_name(date.fromisoformat(str(values["day"])))
    return sentence_of(type(problem)(problem.sentence, **values))


# ---- thank you -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThanksPage:
    """All that templates/patient/thanks.html may use.

    Attributes:
        day: the day reported, in words.
        received: when it came, on the patient's clock.
        late: by how much it was late, in words; "" if it was on time.
        replaced: whether it replaces an earlier report.
        answers: what was kept, as (question, answer).
        note: what was written, "" if nothing.
        again: where it can be corrected, "" if no more.
        until: until when.
        to_answer: another day that is open.
        waiting: guesses to be asked.
        opens: when the next diary opens, "" if none does.
        is_last: whether no diary is to come.
        home: the first page.
        entries: all own reports.
    """

    day: str
    received: str
    late: str
    replaced: bool
    answers: tuple[tuple[str, str], ...]
    note: str
    again: str
    until: str
    to_answer: tuple[OpenDay, ...]
    waiting: tuple[Waiting, ...]
    opens: str
    is_last: bool
    home: str
    entries: str


@bp.get("/diary/<day>/thanks")
@open_to_patient
def thanks(day: str) -> ResponseReturnValue:
    """Confirm what was kept, and say what comes next."""
    at = now()
    with transaction() as session:
        asked = _date(day)
        choice = choose_trial(session, asked)
        row = find_day(session, choice.trial.id, asked)
        entry = latest_entry(session, row.id) if row is not None else None
        if entry is None:
            return redirect(choice.address("show_diary", day=asked.isoformat()), code=303)
        page = _thanks_page(session, choice, asked, entry, at)
    return _render("thanks", page)


def _thanks_page(
    session: Session, choice: Choice, day: date, entry: DiaryEntryRow, at: datetime
) -> ThanksPage:
    trial = choice.trial
    zone = zone_of(trial.timezone)
    now_open = diary.today(session, trial, at)
    same = next((d for d in now_open.open_days if d.day == day), None)
    upcoming = now_open.next_opens_at
    questionnaire = diary.questionnaire_of(session, trial)
    return ThanksPage(
        day=day_name(day),
        received=clock(entry.received_at, zone),
        late=delay(entry.minutes_late),
        replaced=entry.revision > 1,
        answers=in_words(questionnaire, entry.answers),
        note=entry.note,
        again=choice.address("show_diary", day=day.isoformat()) if same else "",
        until=closing(same.next_limit, at, zone) if same else "",
        to_answer=tuple(
            _open_day(choice, d, at, zone) for d in now_open.open_days if not d.answered
        ),
        waiting=tuple(
            _waiting(choice, p) for p in guess_services.guesses_to_ask(session, trial, at)
        ),
        opens=opening(upcoming, at, zone) if upcoming else "",
        is_last=upcoming is None,
        home=choice.address("today"),
        entries=choice.address("entries"),
    )


def delay(minutes: int) -> str:
    """Return how late a report came, "" if it was on time."""
    if minutes <= 0:
        return ""
    if minutes < 60:
        return str(_("%(count)s min", count=minutes))
    hours, rest = divmod(minutes, 60)
    if not rest:
        return str(_("%(hours)s h", hours=hours))
    return str(_("%(hours)s h %(minutes)s min", hours=hours, minutes=rest))


def in_words(questionnaire: Questionnaire, answers: Answers) -> tuple[tuple[str, str], ...]:
    """Return what was reported as (question, answer); what was left out is left out."""
    scores = (
        (_("Pain"), answers.pain),
        (_("Sleep disturbed"), answers.sleep),
        (_("Pain in the way"), answers.interference),
    )
    found = [(str(label), _of_ten(score)) for label, score in scores if score is not None]
    found.insert(1, (str(_("Side effects")), _side_effects(questionnaire, answers)))
    if answers.intake is not None:
        found.append((str(_("Treatment taken")), _intake(answers.intake)))
    if answers.rescue_doses is not None and questionnaire.rescue:
        found.append((questionnaire.rescue, str(_("%(count)s doses", count=answers.rescue_doses))))
    return tuple(found)


def _of_ten(score: int) -> str:
    return str(_("%(score)s of 10", score=score))


def _intake(intake: Intake) -> str:
    names = {Intake.ALL: _("all of it"), Intake.PART: _("part of it"), Intake.NONE: _("none of it")}
    return str(names[intake])


def _side_effects(questionnaire: Questionnaire, answers: Answers) -> str:
    severities = {1: _("mild"), 2: _("moderate"), 3: _("severe")}
    had = [
        f"{_(item.label)} ({severities[answers.side_effects[item.key]]})"
        for item in questionnaire.side_effects
        if answers.side_effects.get(item.key, 0) > 0
    ]
    if not had and not answers.bother:
        return str(_("none"))
    bother = str(_("bother %(score)s of 10", score=answers.bother))
    return ", ".join([*had, bother])


# ---- own reports ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReportedDay:
    """One day of the list of own reports.

    Attributes:
        day: date in words.
        state: "answered", "missed", "open", "paused" or "unreported" (no report, trial ended).
        pain: "4", "" without a report.
        facts: the other answers.
        note: what was written.
        late: by how much it was late, "" if on time.
        corrected: whether it replaced an earlier report.
        proxy: whether the clinic wrote it down.
        href: where it can be filled in or corrected now, "" if nowhere.
    """

    day: str
    state: str
    pain: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""
    late: str = ""
    corrected: bool = False
    proxy: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class ReportedPeriod:
    """The days of one period, newest first."""

    number: int
    days: str
    box: str
    treatment: str
    reports: tuple[ReportedDay, ...]


@dataclass(frozen=True, slots=True)
class EntriesPage:
    """All that templates/patient/entries.html may use.

    Attributes:
        title: of the trial; "" if there is none.
        periods: newest first.
        reported: days with a report.
        due: days that were reported or are too late.
        pain: own line, or None while the trial is blinded (blinding rule B-24).
        others: other trials.
    """

    title: str
    periods: tuple[ReportedPeriod, ...] = ()
    reported: int = 0
    due: int = 0
    pain: charts.LineChart | None = None
    others: tuple[TrialLink, ...] = ()


@bp.get("/entries")
@open_to_patient
def entries() -> ResponseReturnValue:
    """Show the patient's own reports, missed days included."""
    at = now()
    with transaction() as session:
        if not own_trials(session):
            return _render("entries", EntriesPage(""))
        page = _entries_page(session, choose_trial(session), at)
    return _render("entries", page)


def _entries_page(session: Session, choice: Choice, at: datetime) -> EntriesPage:
    trial = choice.trial
    today = local_day(at, zone_of(trial.timezone))
    rows = [
        r for r in days_of_trial(session, trial.id) if r.day <= today and r.state != "cancelled"
    ]
    if not rows:
        return EntriesPage(trial.title, others=choice.others)
    kept = diary.own_entries(session, trial)
    open_now = {d.day for d in diary.today(session, trial, at).open_days}
    questionnaire = diary.questionnaire_of(session, trial)
    treatments = plain_result.treatment_names(session, vault(), trial)
    periods = {p.number: p for p in periods_of_trial(session, trial.id)}

    def reported(row: DiaryDayRow) -> ReportedDay:
        href = choice.address("show_diary", day=row.day.isoformat()) if row.day in open_now else ""
        return _reported_day(row, kept.get(row.day), questionnaire, href, at)

    done = diary.adherence(session, trial, at)
    numbers = sorted({r.period for r in rows}, reverse=True)
    return EntriesPage(
        title=trial.title,
        periods=tuple(
            ReportedPeriod(
                number=number,
                days=_span_of(rows, number),
                box=grouped(periods[number].kit) if number and not treatments else "",
                treatment=treatments.get(number, ""),
                reports=tuple(reported(r) for r in reversed(rows) if r.period == number),
            )
            for number in numbers
        ),
        reported=done.answered,
        due=done.answered + done.missed,
        pain=plain_result.pain_line(rows, kept, treatments) if treatments else None,
        others=choice.others,
    )


def _span_of(rows: Iterable[DiaryDayRow], number: int) -> str:
    days = [r.day for r in rows if r.period == number]
    return days_between(days[0], days[-1])


def _reported_day(
    row: DiaryDayRow,
    entry: DiaryEntryRow | None,
    questionnaire: Questionnaire,
    href: str,
    at: datetime,
) -> ReportedDay:
    name = day_name(row.day)
    if entry is None:
        state = "paused" if row.state == "paused" else "open" if href else "missed"
        if row.opens_at > at and state == "missed":
            state = "later"
        return ReportedDay(name, state, href=href)
    return ReportedDay(
        day=name,
        state="answered",
        pain=str(entry.pain),
        facts=in_words(questionnaire, entry.answers)[1:],
        note=entry.note,
        late=delay(entry.minutes_late),
        corrected=entry.revision > 1,
        proxy=entry.source != Source.PATIENT,
        href=href,
    )


# ---- the guess -----------------------------------------------------------------------------

CERTAINTIES = (
    ("0", lazy_gettext("Just a guess")),
    ("1", lazy_gettext("A little sure")),
    ("2", lazy_gettext("Fairly sure")),
    ("3", lazy_gettext("Very sure")),
    ("4", lazy_gettext("Certain")),
)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GuessPage:
    """All that templates/patient/guess.html may use.

    Attributes:
        days: of the period.
        box: that was taken from.
        options: (value, name) of each candidate, and "I do not know".
        certainties: (value, name) of each level.
        home: the first page.
        typed: what was typed, after an error.
        errors: sentences by field.
    """

    days: str
    box: str
    options: tuple[tuple[str, str], ...]
    certainties: tuple[tuple[str, str], ...]
    home: str
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)


@bp.route("/period/<int:period>/guess", methods=["GET", "POST"])
@open_to_patient
def guess(period: int) -> ResponseReturnValue:
    """Ask at the end of a period which treatment the patient thinks it was."""
    at = now()
    typed = _typed(request.form)
    with transaction() as session:
        choice = choose_trial(session)
        if any(g.period == period for g in guesses_of_trial(session, choice.trial.id)):
            return redirect(choice.address("today"), code=303)
        waiting = guess_services.guesses_to_ask(session, choice.trial, at)
        row = next((p for p in waiting if p.number == period), None)
        frozen = frozen_protocol(session, choice.trial.id)
        if row is None or frozen is None:
            raise StateError(marked("Nothing is asked about this box now."))
        errors = _check_guess(typed) if request.method == "POST" else {}
        if request.method == "GET" or errors:
            page = _guess_page(choice, row, frozen.value, typed, errors)
            return _render("guess", page), 422 if errors else 200
        known = typed["treatment"] != UNKNOWN
        guess_services.record_guess(
            session,
            choice.trial,
            period=period,
            treatment=typed["treatment"] if known else "",
            certainty=int(typed["certainty"]) if known else 0,
            why=typed.get("why", ""),
            now=at,
        )
    flash(_("Your answer is kept. Thank you."), "success")
    return redirect(choice.address("today"), code=303)


def _check_guess(typed: Mapping[str, str]) -> FieldErrors:
    errors: FieldErrors = {}
    if not typed.get("treatment"):
        errors["treatment"] = _("Please choose one, or that you do not know.")
    unsure = typed.get("certainty", "") not in dict(CERTAINTIES)
    if typed.get("treatment") != UNKNOWN and unsure:
        errors["certainty"] = _("Please say how sure you are.")
    if len(typed.get("why", "")) > 500:
        errors["why"] = _("Please keep it under 500 characters.")
    return errors


def _guess_page(
    choice: Choice,
    row: PeriodRow,
    protocol: Protocol,
    typed: Mapping[str, str],
    errors: FieldErrors,
) -> GuessPage:
    candidates = sorted(protocol.candidates, key=lambda c: c.name.casefold())
    return GuessPage(
        days=days_between(row.first_day, row.last_day),
        box=grouped(row.kit),
        options=(*((c.treatment, c.name) for c in candidates), (UNKNOWN, str(_("I do not know")))),
        certainties=tuple((value, str(name)) for value, name in CERTAINTIES),
        home=choice.address("today"),
        typed=typed,
        errors=errors,
    )


# ---- the result ----------------------------------------------------------------------------


@bp.get("/result")
@open_to_patient
def result() -> ResponseReturnValue:
    """Show the released result in plain words, or when to expect it."""
    with transaction() as session:
        if not own_trials(session):
            return _render("result", plain_result.ResultPage("none"))
        choice = choose_trial(session)
        known = [t for t in own_trials(session) if t.current_state in RESULT_KNOWN]
        others = tuple(
            TrialLink(t.title, t.state, url_for("patient.result", trial=t.public_id))
            for t in known
            if t.id != choice.trial.id
        )
        page = plain_result.result_page(session, vault(), current_actor(), choice.trial)
    return _render("result", replace(page, clinic=choice.address("clinic"), others=others))


# ---- the clinic, a pause, the end ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClinicPage:
    """All that templates/patient/clinic.html may use.

    Attributes:
        site: name of the clinic.
        clinician: who leads the trial, "" if there is none.
        called: whether a call was asked for today.
        may_pause: whether the trial can be paused.
        may_stop: whether it can be stopped.
        links: addresses of the deeds.
    """

    site: str
    clinician: str = ""
    called: bool = False
    may_pause: bool = False
    may_stop: bool = False
    links: Mapping[str, str] = field(default_factory=dict)


@bp.get("/clinic")
@open_to_patient
def clinic() -> ResponseReturnValue:
    """Show how to reach the clinic, pause or stop."""
    at = now()
    with transaction() as session:
        site = current_patient().site.name
        if not own_trials(session):
            return _render("clinic", ClinicPage(site))
        choice = choose_trial(session)
        state = choice.trial.current_state
        page = ClinicPage(
            site=site,
            clinician=choice.trial.clinician.name,
            called=notices.asked_for_call(session, choice.trial, at),
            may_pause=state is State.RUNNING,
            may_stop=state in UNDER_WAY | {State.READY},
            links={name: choice.address(name) for name in ("ask_call", "pause", "stop")},
        )
    return _render("clinic", page)


@bp.post("/clinic/call")
@open_to_patient
def ask_call() -> ResponseReturnValue:
    """Ask the clinician to call."""
    with transaction() as session:
        choice = choose_trial(session)
        notices.ask_for_call(
            session, current_actor(), choice.trial, address=absolute_url("entrance.home"), now=now()
        )
    return redirect(choice.address("clinic"), code=303)


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """All that templates/patient/confirm.html may use: pausing or stopping, once more asked.

    Attributes:
        deed: "pause" or "stop".
        title: of the trial.
        revision: of the trial when the page was shown.
        action: where the form goes.
        back: where "no" goes.
        reason: what was typed.
        problem: why it could not be done, "" if nothing was tried.
    """

    deed: str
    title: str
    revision: int
    action: str
    back: str
    reason: str = ""
    problem: str = ""


@bp.route("/clinic/pause", methods=["GET", "POST"])
@open_to_patient
def pause() -> ResponseReturnValue:
    """Let the trial stand still, after asking once more."""
    return _confirm("pause", State.PAUSED)


@bp.route("/clinic/stop", methods=["GET", "POST"])
@open_to_patient
def stop() -> ResponseReturnValue:
    """End the trial, after asking once more."""
    return _confirm("stop", State.STOPPED)


def _confirm(deed: str, target: State) -> ResponseReturnValue:
    at = now()
    reason = request.form.get("reason", "").strip()[:500]
    page: ConfirmPage | None = None
    try:
        with transaction() as session:
            choice = choose_trial(session)
            trial = choice.trial
            if trial.current_state is target:  # a second tap: it is done already
                return redirect(choice.address("today"), code=303)
            page = ConfirmPage(
                deed=deed,
                title=trial.title,
                revision=trial.revision,
                action=choice.address(deed),
                back=choice.address("clinic"),
                reason=reason,
            )
            if request.method == "POST":
                _do(session, deed, trial, reason, at)
    except (EditConflictError, StateError) as problem:
        if page is None:
            raise
        return _render("confirm", replace(page, problem=sentence_of(problem))), status_of(problem)
    if request.method == "GET":
        return _render("confirm", page)
    flash(
        _("Your trial is paused. A message goes to your clinic.")
        if deed == "pause"
        else _("Your trial has ended. A message goes to your clinic."),
        "success",
    )
    return redirect(choice.address("today"), code=303)


def _do(session: Session, deed: str, trial: TrialRow, reason: str, at: datetime) -> None:
    revision = int(request.form.get("revision", "")) if _is_number("revision") else -1
    address = absolute_url("entrance.home")
    if deed == "pause":
        running_services.pause_trial(
            session,
            current_actor(),
            trial,
            revision=revision,
            reason=reason or NO_REASON_FOR_PAUSE,
            now=at,
        )
        notices.tell_of_pause(session, trial, address=address, now=at)
        return
    running_services.stop_trial(
        session,
        current_actor(),
        trial,
        revision=revision,
        reason=reason or NO_REASON_FOR_STOP,
        now=at,
    )
    notices.tell_of_stop(session, trial, address=address, now=at)


def _is_number(name: str) -> bool:
    return request.form.get(name, "").isascii() and request.form.get(name, "").isdigit()


def _render(name: str, page: object) -> str:
    return render_template(f"patient/{name}.html", page=page)
