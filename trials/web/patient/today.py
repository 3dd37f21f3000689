"""Today: what to take, what to fill in, and how far the trial is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import Phase, local_day, zone_of
from trials.domain.life_cycle import State
from trials.domain.protocol import Candidate, Protocol
from trials.domain.taking import TIME_NAMES, TakingPlan, TimeOfDay
from trials.services import allocation, corrections, diary_days
from trials.services import guesses as guess_services
from trials.services.erasure import is_erased
from trials.services.mood import occasion_due
from trials.store.diary import DiaryDayRow, days_of_trial
from trials.store.trial import TrialRow, decision_on, frozen_protocol, periods_of_trial
from trials.web.access import open_to_patient
from trials.web.edge import current_patient, now, transaction, vault
from trials.web.local_words import city, day_name, opening
from trials.web.patient.blueprint import bp, render
from trials.web.patient.days import OpenDay, Waiting, open_day, waiting
from trials.web.patient.trial import Choice, TrialLink, choose_trial, own_trials
from trials.web.patient.words import grouped

LINKED = ("entries", "result", "clinic", "written", "mood", "help_now")


@dataclass(frozen=True, slots=True)
class Take:
    """What to take.

    Attributes:
        kit: number of the box in groups, "" in an open trial.
        treatment: name, "" while blinded.
        dose: likewise.
        times: when in the day and in what form, the same in every period; none if not agreed.
        next_time: the one of them that comes next, "" if none is agreed.
    """

    kit: str = ""
    treatment: str = ""
    dose: str = ""
    times: tuple[str, ...] = ()
    next_time: str = ""


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
        waiting: periods to be asked about.
        to_confirm: how many things the clinic wrote down that wait for the patient's word.
        erased: whether the answers were removed, as agreed.
        decided: whether a decision was signed.
        zone: place whose clock counts.
        others: other trials.
        links: addresses of the pages about this trial.
        mood_due: whether the questions about mood are due.
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
    to_confirm: int = 0
    erased: bool = False
    decided: bool = False
    zone: str = ""
    others: tuple[TrialLink, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    mood_due: bool = False


@bp.get("/today")
@open_to_patient
def today() -> ResponseReturnValue:
    """Show what there is to do now."""
    at = now()
    with transaction() as session:
        if not own_trials(session):
            zone = zone_of(current_patient().timezone)
            return render("today", TodayPage("none", day_name(local_day(at, zone))))
        page = _today_page(session, choose_trial(session), at)
    return render("today", page)


def _today_page(session: Session, choice: Choice, at: datetime) -> TodayPage:
    trial = choice.trial
    zone = zone_of(trial.timezone)
    now_open = diary_days.today(session, trial, at)
    frozen = frozen_protocol(session, trial.id)
    rows = [r for r in days_of_trial(session, trial.id) if r.state != "cancelled"]
    situation = _situation(trial, now_open.local_date, rows)
    days = [open_day(choice, d, at, zone) for d in reversed(now_open.open_days)]
    row_today = next((r for r in rows if r.day == now_open.local_date), None)
    takes = Takes(session, trial, frozen.value if frozen else None)
    running = situation == "running"
    hour = at.astimezone(zone).hour
    return TodayPage(
        situation=situation,
        day=day_name(now_open.local_date),
        title=trial.title,
        question=frozen.value.question if frozen else "",
        take=takes.of(now_open.period, hour) if running else None,
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
            waiting(choice, p, takes.name(p.number, in_sentence=True))
            for p in guess_services.periods_to_ask(session, trial, at)
        ),
        to_confirm=len(corrections.to_confirm(session, trial)),
        erased=is_erased(session, trial),
        decided=decision_on(session, trial.id) is not None,
        zone=city(zone),
        others=choice.others,
        links={name: choice.address(name) for name in LINKED},
        mood_due=occasion_due(session, trial, at) is not None,
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


def _progress(
    session: Session, trial: TrialRow, now_open: diary_days.Today, at: datetime
) -> Progress | None:
    if not now_open.day_number:
        return None
    done = diary_days.adherence(session, trial, at)
    settled = done.answered + done.missed
    return Progress(now_open.day_number, now_open.total_days, done.answered, settled)


def dose_name(plan: TakingPlan, time: TimeOfDay) -> str:
    """Return when and what, such as "morning: capsule"."""
    name = str(_(TIME_NAMES[time])).capitalize()
    return str(_("%(time)s: %(form)s", time=name, form=plan.form)) if plan.form else name


class Takes:
    """What is taken in each period: a treatment where it is no secret, else a box."""

    def __init__(self, session: Session, trial: TrialRow, protocol: Protocol | None) -> None:
        self.periods = {p.number: p for p in periods_of_trial(session, trial.id)}
        self.protocol = protocol
        known = None
        if trial.how_blinded is Blinding.OPEN:
            known = allocation.known_treatments(session, vault(), Role.PATIENT, trial)
        self.treatments = known or {}

    def of(self, number: int, hour: int = 0) -> Take | None:
        """Return what is taken in this period, seen at a local hour; None outside the periods."""
        period = self.periods.get(number)
        if period is None:
            return None
        plan = self.protocol.taking if self.protocol is not None else None
        times = tuple(dose_name(plan, time) for time in plan.times) if plan else ()
        next_time = dose_name(plan, plan.next_time(hour)) if plan else ""
        if self.protocol is not None and number in self.treatments:
            candidate: Candidate = self.protocol.candidate(self.treatments[number])
            return Take("", candidate.name, candidate.dose, times, next_time)
        return Take(kit=grouped(period.kit), times=times, next_time=next_time)

    def name(self, number: int, *, in_sentence: bool = False) -> str:
        """Return what a period's treatment is called: "Box 48 210 7", or its name."""
        take = self.of(number)
        if take is None:
            return ""
        if take.treatment:
            return take.treatment
        box = _("box %(kit)s", kit=take.kit) if in_sentence else _("Box %(kit)s", kit=take.kit)
        return str(box)

    def after(self, number: int, today: date) -> Take | None:
        """Return what is taken from tomorrow, if a new period begins."""
        tomorrow = today + timedelta(days=1)
        later = next((p for p in self.periods.values() if p.first_day == tomorrow), None)
        return self.of(later.number) if later is not None and later.number != number else None

    def begins(self, number: int, today: date) -> bool:
        """Return whether this period begins today and follows another."""
        period = self.periods.get(number)
        return period is not None and period.first_day == today and number > 1
