"""Why a day cannot be answered, and what can be done instead."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from trials.domain.calendar import zone_of
from trials.domain.errors import DiaryClosedError, TrialError
from trials.services import diary_days
from trials.store.diary import find_day
from trials.web.edge import sentence_of
from trials.web.local_words import day_name, opening
from trials.web.patient.advice import Advice
from trials.web.patient.days import OpenDay, open_day
from trials.web.patient.trial import Choice


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
        advice: what must be read at once, though the report is not kept.
    """

    day: str
    sentence: str
    typed: bool
    early: bool
    opens: str
    others: tuple[OpenDay, ...]
    home: str
    clinic: str
    advice: tuple[Advice, ...] = ()


def closed_page(
    session: Session,
    choice: Choice,
    day: date,
    problem: DiaryClosedError,
    at: datetime,
    *,
    typed: bool = False,
    advice: tuple[Advice, ...] = (),
) -> ClosedPage:
    """Return why this day cannot be answered, and which others can."""
    zone = zone_of(choice.trial.timezone)
    now_open = diary_days.today(session, choice.trial, at)
    row = find_day(session, choice.trial.id, day)
    early = row is not None and at < row.opens_at and row.state in {"planned", "open"}
    opens_at = row.opens_at if row is not None and early else now_open.next_opens_at
    return ClosedPage(
        day=day_name(day) if row is not None else "",
        sentence=with_day_in_words(problem),
        typed=typed,
        early=early,
        opens=opening(opens_at, at, zone) if opens_at else "",
        others=tuple(open_day(choice, d, at, zone) for d in reversed(now_open.open_days)),
        home=choice.address("today"),
        clinic=choice.address("clinic"),
        advice=advice,
    )


def with_day_in_words(problem: TrialError) -> str:
    """Return the sentence with its date as people write it, not as addresses do."""
    values = dict(problem.values)
    if isinstance(values.get("day"), str):
        values["day"] = day_name(date.fromisoformat(str(values["day"])))
    return sentence_of(type(problem)(problem.sentence, **values))
