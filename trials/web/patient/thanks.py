"""The receipt: what was kept of a day, and what comes next."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from trials.domain.calendar import local_day, zone_of
from trials.services import diary, diary_days
from trials.services import guesses as guess_services
from trials.services.mood import occasion_due
from trials.store.diary import DiaryEntryRow, entry_with_key, find_day, latest_entry
from trials.store.photo import photo_of_entry
from trials.store.trial import frozen_protocol
from trials.web.access import open_to_patient
from trials.web.edge import now, transaction
from trials.web.local_words import clock, closing, day_name, opening
from trials.web.patient.advice import Advice
from trials.web.patient.blueprint import bp, render
from trials.web.patient.days import OpenDay, Waiting, date_in, open_day, waiting
from trials.web.patient.diary import advice_after
from trials.web.patient.today import Takes
from trials.web.patient.trial import Choice, choose_trial
from trials.web.patient.words import delay, in_words

ON_ITS_WAY = timedelta(minutes=2)
"""What takes less is on a slow network, and did not wait on the phone."""


@dataclass(frozen=True, slots=True)
class ThanksPage:
    """All that templates/patient/thanks.html may use.

    Attributes:
        day: the day reported, in words.
        received: when it came, on the patient's clock.
        written: when it was written, if it waited on a phone; else "".
        counts: whether it is the report of the day that counts.
        late: by how much it was late, in words; "" if it was on time.
        replaced: whether it replaces an earlier report.
        answers: what was kept, as (question, answer).
        note: what was written, "" if nothing.
        photo: whether a photo was kept with it.
        again: where it can be corrected, "" if no more.
        until: until when.
        to_answer: another day that is open.
        waiting: periods to be asked about.
        opens: when the next diary opens, "" if none does.
        is_last: whether no diary is to come.
        home: the first page.
        entries: all own reports.
        advice: what must be read at once.
        mood: the page of the questions about mood if they are due, else "".
    """

    day: str
    received: str
    written: str
    counts: bool
    late: str
    replaced: bool
    answers: tuple[tuple[str, str], ...]
    note: str
    photo: bool
    again: str
    until: str
    to_answer: tuple[OpenDay, ...]
    waiting: tuple[Waiting, ...]
    opens: str
    is_last: bool
    home: str
    entries: str
    advice: tuple[Advice, ...]
    mood: str


@bp.get("/diary/<day>/thanks")
@open_to_patient
def thanks(day: str) -> ResponseReturnValue:
    """Confirm what was kept, and say what comes next."""
    at = now()
    with transaction() as session:
        asked = date_in(day)
        choice = choose_trial(session, asked)
        row = find_day(session, choice.trial.id, asked)
        counting = latest_entry(session, row.id) if row is not None else None
        entry = _just_sent(session, counting)
        if entry is None or counting is None:
            return redirect(choice.address("show_diary", day=asked.isoformat()), code=303)
        page = _thanks_page(session, choice, asked, entry, at, counts=entry.id == counting.id)
    return render("thanks", page)


def _just_sent(session: Session, counting: DiaryEntryRow | None) -> DiaryEntryRow | None:
    """Return the report the address names by its key, else the one of the day that counts."""
    sent = entry_with_key(session, request.args.get("key", ""))
    same_day = (
        sent is not None and counting is not None and sent.diary_day_id == counting.diary_day_id
    )
    return sent if same_day else counting


def _thanks_page(
    session: Session,
    choice: Choice,
    day: date,
    entry: DiaryEntryRow,
    at: datetime,
    *,
    counts: bool,
) -> ThanksPage:
    trial = choice.trial
    zone = zone_of(trial.timezone)
    now_open = diary_days.today(session, trial, at)
    same = next((d for d in now_open.open_days if d.day == day), None)
    upcoming = now_open.next_opens_at
    questionnaire = diary.questionnaire_of(session, trial)
    frozen = frozen_protocol(session, trial.id)
    takes = Takes(session, trial, frozen.value if frozen else None)
    return ThanksPage(
        day=day_name(day),
        received=clock(entry.received_at, zone),
        written=_written(entry, zone),
        counts=counts,
        late=delay(entry.minutes_late),
        replaced=entry.revision > 1,
        answers=in_words(questionnaire, entry.answers),
        note=entry.note,
        photo=photo_of_entry(session, entry.id) is not None,
        again=choice.address("show_diary", day=day.isoformat()) if same else "",
        until=closing(same.next_limit, at, zone) if same else "",
        to_answer=tuple(
            open_day(choice, d, at, zone) for d in now_open.open_days if not d.answered
        ),
        waiting=tuple(
            waiting(choice, p, takes.name(p.number, in_sentence=True))
            for p in guess_services.periods_to_ask(session, trial, at)
        ),
        opens=opening(upcoming, at, zone) if upcoming else "",
        is_last=upcoming is None,
        home=choice.address("today"),
        entries=choice.address("entries"),
        advice=advice_after(session, trial, day, entry.answers),
        mood=choice.address("mood") if occasion_due(session, trial, at) else "",
    )


def _written(entry: DiaryEntryRow, zone: ZoneInfo) -> str:
    """Return when a report was written that came later, on the trial's clock; else ""."""
    if entry.received_at - entry.answered_at < ON_ITS_WAY:
        return ""
    return f"{day_name(local_day(entry.answered_at, zone))}, {clock(entry.answered_at, zone)}"
