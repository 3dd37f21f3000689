"""Did the blinding hold? The patient's guesses against what was given, after the release.

A guess says what the patient believed a period was; next to the allocation it would tell a
blinded reader the allocation. So nothing of this is computed before the result is known.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from models.decision import Kind
from models.guess import Guess, GuessReport, judge_guesses
from trials.domain.blinding import Blinding
from trials.domain.life_cycle import RESULT_KNOWN
from trials.keys import Vault
from trials.services import allocation
from trials.services.actor import Actor
from trials.services.analysis import assemble_data, released_result, secret_seed, specify
from trials.store.trial import GuessRow, TrialRow, frozen_protocol, guesses_of_trial


@dataclass(frozen=True, slots=True)
class PeriodGuess:
    """One period with what the patient thought it was.

    Attributes:
        period: its number.
        given: name of the treatment.
        guessed: name of the one guessed, "" for "do not know".
        certainty: from 0, a mere guess, to 4.
        right: whether it was; None for "do not know".
    """

    period: int
    given: str
    guessed: str
    certainty: int
    right: bool | None


@dataclass(frozen=True, slots=True)
class BlindingHeld:
    """The guesses and what they say.

    Attributes:
        periods: in order.
        report: index by masked arm, and whether the verdict survives.
    """

    periods: tuple[PeriodGuess, ...]
    report: GuessReport


def blinding_held(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow
) -> BlindingHeld | None:
    """Return what the guesses say of the blinding; None before the release or without a guess.

    Args:
        session: the transaction.
        vault: opens the allocation.
        actor: who asks.
        trial: whose guesses.

    Raises:
        NotAllowedError: the reader may not see results.
    """
    guesses = guesses_of_trial(session, trial.id)
    frozen = frozen_protocol(session, trial.id)
    blinded = trial.how_blinded is not Blinding.OPEN
    if not guesses or frozen is None or not blinded or trial.current_state not in RESULT_KNOWN:
        return None
    verdict = released_result(session, vault, actor, trial).summary["verdict"]
    assert isinstance(verdict, dict)  # noqa: S101  # made by summary_of
    key = allocation.sealed_arm_key(session, vault, trial)
    sequence = allocation.masked_sequence(session, vault, trial)
    data = assemble_data(session, vault, trial)
    specification = specify(frozen.value, key)
    names = {label: frozen.value.candidate(t).name for label, t in key.items()}
    label_of = {treatment: label for label, treatment in key.items()}
    first = 0 if data.period_arm[0] < 0 else 1
    lived = [g for g in guesses if g.period - first < data.periods]
    report = judge_guesses(
        data,
        specification,
        [Guess(g.period - first, label_of.get(g.treatment)) for g in lived],
        answer=(Kind(str(verdict["kind"])), verdict["arm"], tuple(verdict["equal_arms"])),
        seed=secret_seed(vault, data.data_hash, specification.specification_hash),
    )
    return BlindingHeld(
        tuple(_period(g, sequence[g.period - 1], label_of, names) for g in lived), report
    )


def _period(
    guess: GuessRow, given: str, label_of: dict[str, str], names: dict[str, str]
) -> PeriodGuess:
    guessed = label_of.get(guess.treatment)
    return PeriodGuess(
        period=guess.period,
        given=names[given],
        guessed=names[guessed] if guessed else "",
        certainty=guess.certainty,
        right=None if guessed is None else guessed == given,
    )
