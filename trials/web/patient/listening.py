"""Look at what a patient wrote freely before anything else is done with it.

In a transaction of its own: whether the form is kept, refused or too late, the clinic is told
and the patient reads at once what to do.
"""

from datetime import date

from trials.services.help_numbers import help_numbers
from trials.services.screening import watch_words
from trials.web.edge import current_actor, now, transaction
from trials.web.patient.advice import Advice, advice_of
from trials.web.patient.trial import Choice, choose_trial


def listen(*texts: str, key: str, day: date | None = None) -> tuple[Advice, ...]:
    """Raise the red flags in what a patient wrote; return what must be read at once.

    Args:
        texts: as they were written; empty ones do no harm.
        key: of the form, so that it is told once however often it is sent.
        day: of the diary, where the form is about one.
    """
    written = " ".join(text for text in texts if text.strip())
    if not written:
        return ()
    with transaction() as session:
        trial = choose_trial(session, day).trial
        found = watch_words(session, current_actor(), trial, written, now(), key=key)
        return advice_of(help_numbers(session, trial.site), found)


def way_on(choice: Choice, advice: tuple[Advice, ...], endpoint: str, **values: object) -> str:
    """Return the page that comes next: what to do comes first."""
    if advice:
        return choice.address("help_now", told=advice[0].id)
    return choice.address(endpoint, **values)
