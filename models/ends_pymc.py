r"""The end-of-scale model in PyMC: latent days between the bounds that their ratings set.

.. math::
    y_t = \operatorname{clip}(\operatorname{round}(y^*_t)), \qquad
    y^*_t\ \text{as}\ y_t\ \text{in the crossover model of}\ \texttt{models.pain}

Every rated day is a parameter, mapped into its interval by a logistic curve, or beyond the cut
at an end of the scale by a softplus. The number of parameters must not change for a compiled
model to serve the next patient: the days are filled up to a multiple of 32 with standard normal
parameters that nothing depends on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from models.burden import is_weighed, net_burden
from models.data import TrialData
from models.ends import intervals, offset_of
from models.kernels import FILLS_UP
from models.pain import Structure, log_density, model_data, state_terms, structure_of
from models.specification import Specification

type Floats = NDArray[np.float64]

BUCKET = 32
"""Days are filled up to a multiple of this."""
_BY_DAY = ("gap", "period", "target", "week", "age", "segment")


@dataclass(frozen=True, slots=True)
class EndsStructure:
    """All that changes the graph: the crossover model's structure and the number of days.

    Attributes:
        crossover: see ``models.pain.Structure``.
        days: rated days, filled up.
        weighed: whether the outcome is the net burden.
    """

    crossover: Structure
    days: int
    weighed: bool


def ends_structure_of(
    data: TrialData, specification: Specification, *, weighed: bool = False
) -> EndsStructure:
    """Return the structure a trial needs."""
    weighed = weighed and is_weighed(specification)
    rated = int(_fitted(data, specification, weighed=weighed).observed.sum())
    days = BUCKET * -(-rated // BUCKET)
    return EndsStructure(structure_of(specification), days, weighed)


def ends_model_data(
    data: TrialData, specification: Specification, *, weighed: bool = False
) -> dict[str, NDArray[np.generic]]:
    """Return the numbers of one trial by the names of the model's data containers.

    Beside those of ``models.pain.model_data``, all by day filled up to n days: ``edge`` (n,)
    the lower bound of a day inside the scale, the cut of one at an end; ``side`` (n,) 0
    inside, -1 at the low end, 1 at the high end; ``counted`` (n,) 0 for a day that fills up.
    """
    structure = ends_structure_of(data, specification, weighed=weighed)
    fitted = _fitted(data, specification, weighed=structure.weighed)
    values = model_data(fitted, specification)
    del values["rating"]
    offset = offset_of(data, specification) if structure.weighed else np.zeros(data.days)
    low, high = intervals(data, specification, offset)[:, fitted.observed]
    side = np.where(np.isneginf(low), -1.0, np.where(np.isposinf(high), 1.0, 0.0))
    values |= {
        "edge": np.where(side < 0, high, low),
        "side": side,
        "counted": np.ones(side.size),
        "step": np.array(specification.scale.step),
    }
    by_day = [name for name in (*_BY_DAY, "edge", "side", "counted") if name in values]
    if structure.weighed:
        periods = fitted.day_period[fitted.observed]
        member = (periods[:, None] == np.unique(periods)).astype(np.float64)
        averaging, given = member / member.sum(axis=0), offset[fitted.observed]
        values |= {
            "averaging": averaging,
            "member": member,
            "offset": given - member @ (averaging.T @ given),
        }
        by_day += ["averaging", "member", "offset"]
    for name in by_day:
        values[name] = _filled_up(values[name], structure.days)
    values["gap"][side.size :] = FILLS_UP
    return values


def build_ends_model(
    data: TrialData, specification: Specification, *, weighed: bool = False
) -> pm.Model:
    """Build the model of one trial; nothing is sampled here.

    Args:
        data: the trial, with the ratings as they were given.
        specification: what is fitted, with its priors.
        weighed: fit the net burden.

    Returns:
        a model whose ``arm_mean`` (K,) is the latent outcome on each arm at steady state and
        mid-trial; ``ratio`` is that of latent pain's SD to latent burden's where weighed.
    """
    structure = ends_structure_of(data, specification, weighed=weighed)
    with pm.Model() as model:
        numbers = ends_model_data(data, specification, weighed=weighed)
        x = {name: pm.Data(name, value) for name, value in numbers.items()}
        terms = state_terms(x, structure.crossover)
        free = pm.Flat("day", shape=structure.days)
        inside = pt.eq(x["side"], 0)
        share = pt.switch(inside, pt.sigmoid(free), x["side"] * pt.softplus(free))
        latent = x["edge"] + x["step"] * share
        stretch = -pt.softplus(-free) - pt.switch(inside, pt.softplus(free), 0.0)
        density = log_density(latent, terms, x, structure.crossover)
        density += (x["counted"] * stretch - 0.5 * (1.0 - x["counted"]) * free**2).sum()
        pm.Potential("rated", density)
        if structure.weighed:
            within = x["counted"] * (latent - x["member"] @ (x["averaging"].T @ latent))
            pain = ((within - x["offset"]) ** 2).sum()
            pm.Deterministic("ratio", pt.sqrt(pain / (within**2).sum()))
    return model


def _fitted(data: TrialData, specification: Specification, *, weighed: bool) -> TrialData:
    return net_burden(data, specification) if weighed else data


def _filled_up(values: NDArray[np.generic], days: int) -> NDArray[np.generic]:
    """Return the array with zeros up to so many days."""
    missing = [(0, days - values.shape[0])] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, missing)
