"""Where the reports of a diary come from, counted: what an analyst may know of it while blinded."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from trials.domain.diary import Source
from trials.store.correction import confirmations_of_trial, corrections_of_trial
from trials.store.diary import latest_entries
from trials.store.trial import TrialRow


@dataclass(frozen=True, slots=True)
class Origins:
    """How many of the reports that count are of which kind; one can be of several.

    Attributes:
        patient: sent by the patient.
        phone: written down by the clinic, by telephone.
        paper: typed in from a sheet.
        proxy: filled in by somebody else for the patient.
        corrected: corrected after the window, with a reason.
        confirmed: written down by the clinic and confirmed by the patient.
        doubted: the patient says that it is not right.
        waiting: corrections that wait for the patient.
    """

    patient: int
    phone: int
    paper: int
    proxy: int
    corrected: int
    confirmed: int
    doubted: int
    waiting: int


def origins_of(session: Session, trial: TrialRow) -> Origins:
    """Return where the reports of a trial come from."""
    entries = list(latest_entries(session, trial.id).values())
    told = confirmations_of_trial(session, trial.id)
    words = [told[entry.id].is_right for entry in entries if entry.id in told]
    sources = [entry.source for entry in entries]
    return Origins(
        patient=sources.count(Source.PATIENT),
        phone=sources.count(Source.PHONE),
        paper=sources.count(Source.PAPER),
        proxy=sum(entry.by_proxy for entry in entries),
        corrected=sum(entry.corrects for entry in entries),
        confirmed=sum(words),
        doubted=len(words) - sum(words),
        waiting=sum(c.state == "waiting" for _day, c in corrections_of_trial(session, trial.id)),
    )
