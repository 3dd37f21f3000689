"""The patient's own reports, missed days included."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from trials.domain.calendar import local_day, zone_of
from trials.domain.diary import Questionnaire, Source
from trials.services import diary, diary_days
from trials.services.erasure import is_erased
from trials.store.correction import confirmations_of_trial
from trials.store.diary import DiaryDayRow, DiaryEntryRow, days_of_trial
from trials.store.photo import photos_of_trial
from trials.store.trial import TrialRow, frozen_protocol, periods_of_trial
from trials.web import charts, plain_result
from trials.web.access import open_to_patient
from trials.web.edge import now, transaction, vault
from trials.web.local_words import day_name, days_between, short_day
from trials.web.patient.blueprint import bp, render
from trials.web.patient.trial import Choice, TrialLink, choose_trial, own_trials
from trials.web.patient.words import delay, grouped, in_words


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
        origin: "phone" or "paper" if the clinic wrote it down, "" if not.
        confirmed: "yes" or "no" where the patient was asked about that, "" before.
        correction: whether it was corrected after the window, with a reason.
        photo: whether a photo belongs to it.
        href: where it can be filled in or corrected now, "" if nowhere.
        correct_href: where it can be corrected after its window, likewise.
    """

    day: str
    state: str
    pain: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""
    late: str = ""
    corrected: bool = False
    origin: str = ""
    confirmed: str = ""
    correction: bool = False
    photo: bool = False
    href: str = ""
    correct_href: str = ""


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
        pain: own line; while the trial is blinded None, or a line without any period, as the
            protocol says (blinding rule B-24).
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
            return render("entries", EntriesPage(""))
        page = _entries_page(session, choose_trial(session), at)
    return render("entries", page)


def _entries_page(session: Session, choice: Choice, at: datetime) -> EntriesPage:
    trial = choice.trial
    today = local_day(at, zone_of(trial.timezone))
    rows = [
        r for r in days_of_trial(session, trial.id) if r.day <= today and r.state != "cancelled"
    ]
    if not rows:
        return EntriesPage(trial.title, others=choice.others)
    kept = diary.own_entries(session, trial)
    open_now = {d.day for d in diary_days.today(session, trial, at).open_days}
    questionnaire = diary.questionnaire_of(session, trial)
    treatments = plain_result.treatment_names(session, vault(), trial)
    periods = {p.number: p for p in periods_of_trial(session, trial.id)}

    marks = Marks(session, trial)

    def reported(row: DiaryDayRow) -> ReportedDay:
        href = choice.address("show_diary", day=row.day.isoformat()) if row.day in open_now else ""
        correct = ""
        if marks.correctable and not href and row.closes_at <= at:
            correct = choice.address("correct", day=row.day.isoformat())
        return _reported_day(row, kept.get(row.day), questionnaire, marks, href, correct, at)

    done = diary_days.adherence(session, trial, at)
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
        pain=_pain_line(rows, kept, treatments, always=marks.shows_pain_line),
        others=choice.others,
    )


class Marks:
    """What is said of single reports: who wrote them, whether that was confirmed, photos."""

    def __init__(self, session: Session, trial: TrialRow) -> None:
        frozen = frozen_protocol(session, trial.id)
        self.shows_pain_line = frozen is not None and frozen.value.shows_pain_line
        self.correctable = trial.current_state not in diary.ANALYSED and not is_erased(
            session, trial
        )
        self.confirmations = confirmations_of_trial(session, trial.id)
        self.photos = {photo.entry_id for _day, photo in photos_of_trial(session, trial.id)}

    def confirmed(self, entry: DiaryEntryRow) -> str:
        """Return the patient's word on a report of the clinic's, "" if there is none."""
        told = self.confirmations.get(entry.id)
        return "" if told is None else "yes" if told.is_right else "no"


def _pain_line(
    rows: Sequence[DiaryDayRow],
    kept: Mapping[date, DiaryEntryRow],
    treatments: Mapping[int, str],
    *,
    always: bool,
) -> charts.LineChart | None:
    if treatments:
        return plain_result.pain_line(rows, kept, treatments)
    if not always:
        return None
    return charts.line_chart(
        [kept[r.day].pain if r.day in kept else None for r in rows],
        labels=[short_day(r.day) for r in rows],
    )


def _span_of(rows: Iterable[DiaryDayRow], number: int) -> str:
    days = [r.day for r in rows if r.period == number]
    return days_between(days[0], days[-1])


def _reported_day(
    row: DiaryDayRow,
    entry: DiaryEntryRow | None,
    questionnaire: Questionnaire,
    marks: Marks,
    href: str,
    correct: str,
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
        origin="" if entry.source == Source.PATIENT else entry.source,
        confirmed=marks.confirmed(entry),
        correction=entry.corrects,
        photo=entry.id in marks.photos,
        href=href,
        correct_href=correct,
    )
