"""What the rule would say if side effects weighed more, or less, than was agreed.

The exact engine answers while the reader waits; nothing is kept. The weight that was frozen
with the protocol decides the verdict, whatever stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from models.analysis import Analysis, at_other_weights
from models.burden import burden_draws
from models.data import TrialData
from models.decision import Kind, probability_best, without_vetoed
from models.posterior import summarize
from trials.domain.design import Outcome
from trials.domain.errors import ProtocolError
from trials.domain.protocol import LARGEST_WEIGHT
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services import allocation
from trials.services.actor import Actor
from trials.services.analysis import (
    assemble_data,
    check_reader,
    fingerprint,
    fit_result,
    secret_seed,
    specify,
    treatments_for,
)
from trials.services.summary import masked_verdict, verdict_values, without_treatments
from trials.store.base import Json
from trials.store.fit import latest_fit
from trials.store.trial import TrialRow, frozen_protocol

BOTHER = "bother"


@dataclass(frozen=True, slots=True)
class ArmThen:
    """One arm at other weights, in points a day, lower being better.

    The chance of being best is None for an arm that is left out for severe side effects.
    """

    mean: float
    low: float
    high: float
    p_best: float | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer at another weight.

    Attributes:
        weight: points of pain one point of bother would stand for.
        frozen: what it stands for by the protocol: 0 when pain alone was agreed.
        verdict: as in a summary; for a blinded reader that of the rule without what it asks of
            single treatments.
        arms: net burden then, by masked arm; empty when there is no answer.
        treatments: name of each masked arm; None while the reader is blinded.
    """

    weight: float
    frozen: float
    verdict: Json
    arms: Mapping[str, ArmThen]
    treatments: Mapping[str, str] | None


def what_if(session: Session, vault: Vault, actor: Actor, trial: TrialRow, weight: float) -> WhatIf:
    """Return what the rule would say at another weight of side effects.

    Args:
        session: the transaction.
        vault: opens the masked sequence.
        actor: who asks: an analyst, or after the release the clinician.
        trial: whose diary.
        weight: points of pain for one point of bother.

    Raises:
        NotAllowedError: the reader may not see results yet.
        ProtocolError: that is no weight.
        AnalysisError: there is nothing to analyse.
    """
    check_reader(actor, trial)
    check_weight(weight)
    data = assemble_data(session, vault, trial)
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None  # noqa: S101  # there are data
    key = allocation.sealed_arm_key(session, vault, trial)
    specification = specify(frozen.value, key)
    seed = secret_seed(vault, data.data_hash, frozen.hash or "")
    found = at_other_weights(data, specification, {BOTHER: weight}, seed=seed)
    treatments = treatments_for(session, vault, actor, trial)
    weighed = frozen.value.outcome is Outcome.NET_BURDEN
    verdict = verdict_values(masked_verdict(found) if treatments is None else found.verdict)
    refused = _refusal(session, vault, actor, trial, data)
    return WhatIf(
        weight=weight,
        frozen=frozen.value.bother_weight if weighed else 0.0,
        verdict=verdict if refused is None else refused,
        arms=_arms(found, in_blind=treatments is None) if refused is None else {},
        treatments=treatments,
    )


def _refusal(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow, data: TrialData
) -> Json | None:
    """Return the verdict of the newest analysis of these data if it is a refusal.

    Both engines may have disagreed, or the sampler not have come to an end: what the exact engine
    says alone is then not shown at other weights either.
    """
    fit = latest_fit(session, trial.id)
    if fit is None or fit.data_hash != fingerprint(vault, data):
        return None
    verdict = fit_result(session, vault, actor, trial, fit).summary["verdict"]
    assert isinstance(verdict, dict)  # noqa: S101  # made by summary_of
    return verdict if verdict["kind"] == Kind.REFUSED.value else None


def check_weight(weight: float) -> None:
    """Refuse what is no weight.

    Raises:
        ProtocolError: with the range there is.
    """
    if not 0.0 <= weight <= LARGEST_WEIGHT:
        raise ProtocolError(
            _("The weight is a number of points from 0 to %(most)s."), most=f"{LARGEST_WEIGHT:g}"
        )


def _arms(found: Analysis, *, in_blind: bool) -> dict[str, ArmThen]:
    if found.burden is None or found.verdict.kind is Kind.REFUSED:
        return {}
    specification = found.specification
    judged = without_treatments(specification) if in_blind else specification
    burden = burden_draws(found.burden.arm_mean, judged)
    best = probability_best(without_vetoed(burden, found.burden.arms, found.verdict.vetoed))
    own = np.asarray(specification.scale.sign * burden)
    arms = {}
    for place, label in enumerate(found.burden.arms):
        summary = summarize(own[:, place])
        chance = None if label in found.verdict.vetoed else float(best[place])
        arms[label] = ArmThen(summary.mean, summary.q05, summary.q95, chance)
    return arms
