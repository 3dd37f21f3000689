"""What a design can tell, and the threshold it needs: asked for with the draft, kept at the freeze.

A draft's design is studied by simulation in a worker process. The study knows no arm key: its
arms stand in the order of the protocol's candidates, and the orders it simulates are drawn
like the trial's own will be. The same design is never studied twice.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from math import ceil
from types import MappingProxyType

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from models.operating import Characteristics, DesignShape, Study
from models.specification import Specification
from trials.domain.blinding import Role
from trials.domain.design import Design, LookSchedule, Scheme
from trials.domain.errors import CalibrationError
from trials.domain.protocol import Calibration, Protocol, with_least_certainty
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.services.analysis import specify
from trials.services.summary import plain_values
from trials.store.base import Json
from trials.store.calibration import (
    CalibrationRow,
    add_calibration,
    find_calibration,
    studies_before,
    usual_seconds,
)
from trials.store.trial import TrialRow, latest_protocol

TRIALS = 1000
"""Simulated without any difference, for the threshold."""
SCENARIO_TRIALS = 250
"""Simulated of each scenario: a chance of 50 % is known to 3 points."""
SECONDS_AT_FIRST = 60.0
"""Told until one study was timed here."""
SHIPPED = "calibrations.json"
SCHEMES: Mapping[Scheme, str] = {
    Scheme.BALANCED: "latin",
    Scheme.RANDOM_BLOCKS: "blocks",
    Scheme.PAIRED: "abba",
    Scheme.FIXED: "fixed",
}

_SPECIFICATION = TypeAdapter(Specification)
_DESIGN = TypeAdapter(DesignShape)


class StudyState(StrEnum):
    """Where the study of a design stands."""

    NOT_ASKED = "not_asked"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """The study of one design, as a page tells it.

    Attributes:
        state: where it stands.
        since: when it was asked for; None where it was not.
        seconds: how long until it is done, about; 0 where it is.
        calibration: the threshold; None until it is done.
        characteristics: what the design can tell; see ``models.operating.Characteristics``.
        trials: how many were simulated without any difference.
        took: seconds of computing; None until it is done.
    """

    state: StudyState
    since: datetime | None = None
    seconds: int = 0
    calibration: Calibration | None = None
    characteristics: Json | None = None
    trials: int = 0
    took: float | None = None


def study_of(protocol: Protocol) -> Study:
    """Return what is to be simulated for a protocol, frozen or not."""
    protocol = with_least_certainty(protocol)
    in_order = dict(zip(protocol.design.arms, protocol.treatments, strict=True))
    known = protocol.known_noise
    return Study(
        specification=specify(replace(protocol, calibration=None), in_order),
        design=shape_of(protocol.design, protocol.looks),
        sd=known.sd if known else None,
        autocorrelation=known.autocorrelation if known else None,
    )


def shape_of(design: Design, looks: LookSchedule) -> DesignShape:
    """Return the shape of a design as the simulation knows it."""
    return DesignShape(
        blocks=design.blocks,
        period_days=design.period_days,
        washout_days=design.washout_days,
        run_in_days=design.run_in_days,
        scheme=SCHEMES[design.scheme],
        looks=design.blocks if looks is LookSchedule.EACH_BLOCK else 1,
        washout_first=True,
        order=tuple(design.arms.index(arm) for arm in design.fixed_sequence),
    )


def ask(session: Session, protocol: Protocol, now: datetime) -> None:
    """Have the design of a protocol studied; asking again changes nothing.

    Designs that come with Lenitive have been studied by its command ``lenitive calibrate``.
    """
    study = study_of(protocol)
    is_new = add_calibration(
        session,
        design_hash=study.design_hash,
        specification=_SPECIFICATION.dump_python(study.specification, mode="json"),
        design=asdict(study.design),
        sd=study.sd,
        autocorrelation=study.autocorrelation,
        now=now,
    )
    shipped = shipped_studies().get(study.design_hash)
    if is_new and shipped is not None:
        row = find_calibration(session, study.design_hash)
        assert row is not None  # noqa: S101  # it was just added
        _keep(row, shipped, now)
        session.flush()


def standing(session: Session, protocol: Protocol, now: datetime) -> Standing:
    """Return how the study of a protocol's design stands."""
    row = find_calibration(session, study_of(protocol).design_hash)
    if row is None:
        return Standing(StudyState.NOT_ASKED)
    if row.done_at is not None:
        return Standing(
            StudyState.DONE,
            row.asked_at,
            calibration=_calibration(row),
            characteristics=row.characteristics,
            trials=row.trials or 0,
            took=row.seconds,
        )
    if row.failed_at is not None:
        return Standing(StudyState.FAILED, row.asked_at)
    running = row.leased_until is not None and row.leased_until > now
    each = usual_seconds(session) or SECONDS_AT_FIRST
    wait = each * (1 if running else 1 + studies_before(session, row))
    return Standing(
        StudyState.RUNNING if running else StudyState.WAITING,
        row.asked_at,
        seconds=10 * ceil(wait / 10),
    )


def calibration_for(session: Session, protocol: Protocol, now: datetime) -> Calibration:
    """Return the threshold of exactly this design, for the freeze.

    Raises:
        CalibrationError: it is not known yet; the sentence says what helps.
    """
    found = standing(session, protocol, now)
    if found.calibration is not None:
        return found.calibration
    if found.state is StudyState.FAILED:
        raise CalibrationError(
            _(
                "What this design can tell could not be computed, so it cannot be frozen. Ask for "
                "it again on the trial's page."
            )
        )
    if found.state is StudyState.NOT_ASKED:
        raise CalibrationError(
            _(
                "What this design can tell has not been computed yet. Ask for it on the trial's "
                "page, then freeze."
            )
        )
    raise CalibrationError(
        _(
            "What this design can tell is still being computed: it takes about %(seconds)s more "
            "seconds. Freeze the protocol then; the trial's page shows when it is done."
        ),
        seconds=found.seconds,
    )


def ask_again(session: Session, actor: Actor, trial: TrialRow, *, now: datetime) -> None:
    """Have a draft's design studied after it failed, or was never asked for.

    A second click changes nothing.
    """
    require_role(actor, Role.CLINICIAN)
    protocol = latest_protocol(session, trial.id).value
    row = find_calibration(session, study_of(protocol).design_hash)
    if row is not None and row.failed_at is None:
        return
    if row is None:
        ask(session, protocol, now)
    else:
        row.failed_at = row.claimed_by = row.leased_until = None
        row.attempts = 0
        row.due_at = now
        session.flush()
    record(session, actor, "ask_calibration", f"trial:{trial.public_id}", now, trial=trial)


def prepare_study(row: CalibrationRow) -> Study:
    """Return the plain values a worker needs.

    Raises:
        CalibrationError: the row was written by another version and says something else now.
    """
    study = Study(
        specification=_SPECIFICATION.validate_python(row.specification),
        design=_DESIGN.validate_python(row.design),
        sd=row.sd,
        autocorrelation=row.autocorrelation,
    )
    if study.design_hash != row.design_hash:
        raise CalibrationError(
            _("This design was asked for by another version of Lenitive. Keep the draft once more.")
        )
    return study


def finish_study(
    session: Session,
    row: CalibrationRow,
    told: Characteristics,
    *,
    trials: int,
    seconds: float,
    now: datetime,
) -> None:
    """Keep what a design can tell."""
    _keep(row, study_values(told, trials=trials, seconds=seconds), now)
    session.flush()


def study_values(told: Characteristics, *, trials: int, seconds: float) -> Json:
    """Return a finished study as plain values, as it is kept and shipped."""
    return {
        "threshold": told.threshold,
        "threshold_low": told.threshold_low,
        "threshold_high": told.threshold_high,
        "trials": trials,
        "seconds": round(seconds, 1),
        "characteristics": plain_values(told),
    }


@cache
def shipped_studies() -> Mapping[str, Json]:
    """Return the studies that come with Lenitive, by design hash."""
    text = (files("trials.data") / SHIPPED).read_text(encoding="utf-8")
    return MappingProxyType(json.loads(text))


def _keep(row: CalibrationRow, values: Json, now: datetime) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.done_at = now
    row.failed_at = None


def _calibration(row: CalibrationRow) -> Calibration:
    threshold = row.threshold
    assert threshold is not None  # noqa: S101  # the database keeps done rows complete
    return Calibration(
        design_hash=row.design_hash,
        threshold=threshold,
        low=threshold if row.threshold_low is None else row.threshold_low,
        high=threshold if row.threshold_high is None else row.threshold_high,
        trials=row.trials or 0,
    )
