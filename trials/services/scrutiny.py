"""What is computed beside a verdict and never changes it, as plain values.

How the verdict stands when things are taken otherwise, what other weights would do, every side
effect, sleep, interference and rescue doses by arm, and whether the model can foresee. It is
computed with every fit. In a blinded trial a part of it would tell the arms apart: a period left
out shows whose figures move, a half-life belongs to a treatment, days missing by arm fit only one
sequence, and a side effect that is typical of one treatment names it. That part is kept sealed
like the rest that would (see ``services.summary``).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import nan

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from models import words
from models.analysis import Analysis, weighed_series
from models.criticism import DayByDay, Foresight, foresee_last_block, learned, leave_days_out
from models.data import TrialData
from models.decision import Kind
from models.files.result import tolerability_values
from models.reversal import Reversal, rank_reversal
from models.secondary import Measure, Secondary, secondary_outcome
from models.sensitivity import Intake as BothIntakes
from models.sensitivity import Sensitivity, sensitivity, sensitivity_in_blind
from models.tolerability import tolerability
from trials.domain.calendar import Phase
from trials.domain.diary import INTAKE_FRACTION, Intake, Source
from trials.services.summary import (
    Summary,
    masked_reasons,
    phrase_values,
    plain_values,
    without_treatments,
)
from trials.store.base import Json
from trials.store.diary import DiaryEntryRow, days_of_trial, latest_entries
from trials.store.trial import TrialRow, frozen_protocol

type Floats = NDArray[np.float64]

SLEEP, INTERFERENCE, RESCUE = "sleep", "interference", "rescue_doses"
MEASURES = {SLEEP: Measure.SCALE, INTERFERENCE: Measure.SCALE, RESCUE: Measure.COUNT}
DRAWS = 2000
"""Of each fit beside the verdict."""


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """What the diary says besides the outcome and what is weighed.

    Attributes:
        secondary: (T,) series by name, NaN where not answered.
        intake: both ways to count doses; None for no other than that of the data.
        late: (T,) days whose report was late, corrected afterwards or copied from paper; None
            for none.
    """

    secondary: Mapping[str, Floats] = field(default_factory=dict)
    intake: BothIntakes | None = None
    late: NDArray[np.bool_] | None = None


def assemble_beside(session: Session, trial: TrialRow, data: TrialData) -> Beside:
    """Return what stands in the diary besides, for the days that are analysed.

    Args:
        session: the transaction.
        trial: whose diary.
        data: its analysed days, from the first on.
    """
    frozen = frozen_protocol(session, trial.id)
    if frozen is None:
        return Beside()
    asked = frozen.value.questionnaire
    rows = days_of_trial(session, trial.id)[: data.days]
    entries = latest_entries(session, trial.id)
    found = [entries.get(row.day) for row in rows]
    given = {
        SLEEP: [nan if e is None or e.sleep is None else e.sleep for e in found],
        INTERFERENCE: [
            nan if e is None or e.interference is None else e.interference for e in found
        ],
        RESCUE: [nan if e is None or e.rescue_doses is None else e.rescue_doses for e in found],
    }
    wanted = {SLEEP: asked.sleep, INTERFERENCE: asked.interference, RESCUE: bool(asked.rescue)}
    assigned = np.array([0.0 if row.phase == Phase.PAUSED else 1.0 for row in rows])
    reported = np.array(
        [1.0 if e is None or e.intake is None else INTAKE_FRACTION[Intake(e.intake)] for e in found]
    )
    return Beside(
        secondary={
            name: np.array(values, dtype=np.float64)
            for name, values in given.items()
            if wanted[name]
        },
        intake=BothIntakes(assigned, assigned * reported),
        late=np.array([e is not None and _is_late(e) for e in found], dtype=bool),
    )


def _is_late(entry: DiaryEntryRow) -> bool:
    """Return whether the report was not given by the patient in the evening it tells of."""
    return entry.minutes_late > 0 or entry.corrects or entry.source == Source.PAPER


def scrutinize(analysis: Analysis, beside: Beside, *, seed: int) -> Summary:
    """Compute all that stands beside a verdict; nothing for a refused one.

    Args:
        analysis: of the trial, by either engine.
        beside: the rest of the diary.
        seed: of every fit.

    Returns:
        Both parts with the keys ``sensitivity``, ``reversal``, ``side_effects``, ``secondary``,
        ``foresight``, ``days`` and ``learned``: what a blinded reader may see, and all of it.
    """
    posterior, specification = analysis.burden, analysis.specification
    if posterior is None or analysis.verdict.kind is Kind.REFUSED:
        return Summary({}, {})
    bare = without_treatments(specification)
    weighed = weighed_series(analysis.data, specification)
    days = leave_days_out(weighed, specification, posterior)
    left = learned(posterior, specification)
    secondary = [
        secondary_outcome(
            analysis.data, specification, name, series, MEASURES[name], seed=seed, draws=DRAWS
        )
        for name, series in beside.secondary.items()
    ]
    foreseen = _foresight(foresee_last_block(analysis.data, specification, seed=seed))
    masked: Json = {
        "sensitivity": _sensitivity(
            sensitivity_in_blind(
                analysis, bare, seed=seed, draws=DRAWS, intake=beside.intake, late=beside.late
            )
        ),
        "reversal": _reversal(rank_reversal(analysis, seed=seed, judged_by=bare)),
        "side_effects": [],
        "secondary": [_secondary(one, in_blind=True) for one in secondary],
        "foresight": foreseen,
        "days": _days(days, in_blind=True),
        "learned": {name: n for name, n in left.items() if not name.startswith("half_life")},
    }
    whole: Json = {
        "sensitivity": _sensitivity(
            sensitivity(analysis, seed=seed, draws=DRAWS, intake=beside.intake, late=beside.late)
        ),
        "reversal": _reversal(rank_reversal(analysis, seed=seed)),
        "side_effects": [
            tolerability_values(one)
            for one in tolerability(analysis.data, specification, seed=seed)
        ],
        "secondary": [_secondary(one, in_blind=False) for one in secondary],
        "foresight": foreseen,
        "days": _days(days, in_blind=False),
        "learned": left,
    }
    return Summary(_plain(masked), _plain(whole))


def _plain(values: Json) -> Json:
    """Return values that JSON can hold: what is not a number, or infinite, as None."""
    return {key: plain_values(value) for key, value in values.items()}


def _sensitivity(found: Sensitivity | None) -> Json | None:
    if found is None:
        return None
    return {
        "rows": [
            {
                "what": phrase_values(row.what),
                "kind": row.kind.value,
                "arm": row.arm,
                "equal_arms": list(row.equal_arms),
                "p_best": dict(row.p_best),
                "holds": row.holds,
            }
            for row in found.rows
        ],
        "tipping": [
            {
                **asdict(point),
                "sentence": phrase_values(
                    words.tipping_point(point.arm, point.share, point.points)
                ),
            }
            for point in found.tipping
        ],
        "sentence": phrase_values(found.sentence) if found.rows else None,
    }


def _reversal(found: Reversal | None) -> Json | None:
    if found is None:
        return None
    told = [
        words.ahead_by(found.leader_pain, found.leader_burden),
        words.order_by_pain(found.p_order),
        *(words.leader_at_weights(f, p) for f, p in found.p_leader_at.items()),
    ]
    return {
        **asdict(found),
        "p_leader_at": {f"{factor:g}": p for factor, p in found.p_leader_at.items()},
        "sentences": [phrase_values(phrase) for phrase in told],
    }


def _secondary(found: Secondary, *, in_blind: bool) -> Json:
    """Return one outcome by arm; without an answer, the reasons, for a blinded reader unnamed."""
    reasons = masked_reasons(found.reasons) if in_blind else found.reasons
    ahead = max(found.p_best, key=lambda arm: found.p_best[arm], default=None)
    return {
        "name": found.name,
        "measure": found.measure.value,
        "days": found.days,
        "arms": {arm: plain_values(summary) for arm, summary in found.arms.items()},
        "p_best": dict(found.p_best),
        "reasons": [phrase_values(reason) for reason in reasons],
        "sentence": None
        if ahead is None
        else phrase_values(words.lowest_on(ahead, found.p_best[ahead])),
    }


def _foresight(found: Foresight | None) -> Json | None:
    if found is None:
        return None
    sentence = words.foreseen_block(found.days, found.inside_90, found.error)
    return {**asdict(found), "sentence": phrase_values(sentence)}


def _days(found: DayByDay | None, *, in_blind: bool) -> Json:
    """Return how well days are told by the others.

    Which days a model leans on, or does not expect, depends on the arm it takes them for; a
    blinded reader gets how many.
    """
    if found is None:
        return {"sentences": [phrase_values(words.days_not_foretold())]}
    count = len(found.influential)
    numbers = () if in_blind else found.influential
    named: Json = {} if in_blind else {"surprising": list(found.surprising)}
    return {
        "days": found.days,
        "log_density": found.log_density,
        "error": found.error,
        "effective_parameters": found.effective_parameters,
        "allowed": found.allowed,
        "worst": found.worst,
        "influential": count,
        "sentences": [
            phrase_values(words.foreseen_days(found.days, found.log_density, found.error)),
            phrase_values(words.not_told_by_others(count, numbers)),
        ],
        **named,
    }
