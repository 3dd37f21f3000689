"""Which of the patient's trials a page is about."""

from dataclasses import dataclass
from datetime import date

from flask import request, url_for
from sqlalchemy.orm import Session

from trials.domain.errors import NotFoundError
from trials.domain.life_cycle import RESULT_KNOWN, UNDER_WAY, State
from trials.domain.words import marked
from trials.store.diary import find_day
from trials.store.trial import TrialRow, trials_of_patient
from trials.web.edge import current_patient

_FIRST_SHOWN = (
    UNDER_WAY,
    frozenset({State.READY}),
    frozenset({State.COMPLETED, State.STOPPED, State.ANALYSED}) | RESULT_KNOWN,
    frozenset({State.DRAFT}),
)
"""Of several trials: the one under way, the one about to begin, the newest that ended."""


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


def own_trial(session: Session, public_id: str) -> TrialRow:
    """Return the patient's trial with this public id.

    Raises:
        NotFoundError: there is none.
    """
    trial = next((t for t in own_trials(session) if t.public_id == public_id), None)
    if trial is None:
        raise NotFoundError(marked("There is no such trial."))
    return trial


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
