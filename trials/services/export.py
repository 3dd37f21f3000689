"""Give an analysis away as files: pseudonymous, and while blinded without a word on the arms.

After the release the three files are those of the command line: ``lenitive analyze DIARY.csv
--protocol PROTOCOL.toml --seed N`` gives RESULT.json again (docs/analysis-files.md).
"""

import csv
import hmac
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import numpy as np
from sqlalchemy.orm import Session

from models.data import NO_ARM
from trials.domain.blinding import Role
from trials.domain.errors import AnalysisError, NotAllowedError
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services.actor import Actor, record, require_role
from trials.services.analysis import Result, assemble_data, fingerprint, fit_result, get_fit
from trials.store.diary import DiaryDayRow, DiaryEntryRow, days_of_trial, latest_entries
from trials.store.fit import FitRow
from trials.store.trial import TrialRow, frozen_protocol

RUN_IN = "run-in"
SUBJECT_DIGITS = 10


class ExportKind(StrEnum):
    """Which file."""

    RESULT = "result"
    DIARY = "diary"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file to hand over.

    Attributes:
        name: says which analysis, never who or what.
        media_type: for the browser.
        content: UTF-8 text.
    """

    name: str
    media_type: str
    content: str


def export(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    *,
    fit: str,
    kind: ExportKind,
    now: datetime,
) -> ExportedFile:
    """Return one file of an analysis; that it was taken is recorded.

    Args:
        session: the transaction.
        vault: opens what this reader may see.
        actor: an analyst.
        trial: whose analysis it is.
        fit: public id of the analysis.
        kind: which file.
        now: UTC instant.

    Raises:
        NotAllowedError: the file would tell the arms of a blinded trial apart.
        AnalysisError: the diary is not the analysed one any more.
    """
    require_role(actor, Role.ANALYST)
    row = get_fit(session, trial, fit)
    result = fit_result(session, vault, actor, trial, row)
    make = {
        ExportKind.RESULT: _result_file,
        ExportKind.DIARY: _diary_file,
        ExportKind.PROTOCOL: _protocol_file,
    }[kind]
    exported = make(session, vault, trial, row, result)
    record(
        session,
        actor,
        "export_analysis",
        f"fit:{row.public_id}",
        now,
        trial=trial,
        after={"file": exported.name, "sha256": sha256(exported.content.encode()).hexdigest()},
    )
    return exported


def subject_of(vault: Vault, trial: TrialRow) -> str:
    """Return what exports call the patient: the same in all of them, and not to be traced back."""
    key = vault.derive("export subject")
    digest = hmac.new(key, trial.patient.public_id.encode(), sha256).hexdigest()
    return f"S-{digest[:SUBJECT_DIGITS]}"


def _result_file(
    _session: Session, vault: Vault, trial: TrialRow, fit: FitRow, result: Result
) -> ExportedFile:
    summary = result.summary
    known = result.treatments is not None
    content: dict[str, object] = {"subject": subject_of(vault, trial), "blinded": not known}
    kept = summary["result"] if known else _in_words(_without_drawings(summary))
    assert isinstance(kept, Mapping)  # noqa: S101  # made by summary_of
    content |= kept
    provenance = content["provenance"]
    assert isinstance(provenance, Mapping)  # noqa: S101  # made by summary_of
    content["provenance"] = {
        **provenance,
        "analysis": fit.public_id,
        "purpose": fit.purpose,
        "protocol_hash": fit.protocol_hash,
        "diary_fingerprint": fit.data_hash,
    }
    if result.treatments is not None:
        content["treatments"] = dict(result.treatments)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return ExportedFile(f"{fit.public_id}-RESULT.json", "application/json", text)


def _without_drawings(summary: Mapping[str, object]) -> dict[str, object]:
    """Return the summary without what only the plots of the pages need."""
    arms = {
        key: {
            label: {name: value for name, value in figures.items() if name != "density"}
            for label, figures in series.items()
        }
        for key in ("arms", "outcome")
        if isinstance(series := summary[key], Mapping)
    }
    return {key: value for key, value in {**summary, **arms}.items() if key != "chains"}


def _in_words(value: object) -> object:
    """Return plain values with every kept phrase as its English sentence."""
    if isinstance(value, Mapping):
        if value.keys() == {"message", "values"}:
            filled = {gap: _in_words(item) for gap, item in value["values"].items()}
            return value["message"] % filled
        return {key: _in_words(item) for key, item in value.items()}
    return [_in_words(item) for item in value] if isinstance(value, list) else value


def _diary_file(
    session: Session, vault: Vault, trial: TrialRow, fit: FitRow, result: Result
) -> ExportedFile:
    """Return one row a day: with the arm once it is known, without side effects before.

    Which side effects came and went tells a treatment better than pain does, so while blinded
    only the one bother score is given.
    """
    data = assemble_data(session, vault, trial)
    if fingerprint(vault, data) != fit.data_hash:
        raise AnalysisError(_("The diary has changed since this analysis. Ask for a new one."))
    days = days_of_trial(session, trial.id)[: data.days]
    entries = latest_entries(session, trial.id)
    known = result.treatments is not None
    frozen = frozen_protocol(session, trial.id)
    items = frozen.value.questionnaire.side_effects if frozen and known else ()
    text = io.StringIO()
    head = ["subject", "day", "period", "phase", "pain", "bother"]
    told = ["sleep", "interference", "rescue_doses", "intake", "source", "minutes_late"]
    arm_columns = ["arm", "in_analysis", "taken"] if known else []
    columns = [*head, *arm_columns, *told, *(f"effect_{item.key}" for item in items)]
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for place, day in enumerate(days):
        arm = data.day_arm[place]
        line = {
            "subject": subject_of(vault, trial),
            **_day_values(day, entries.get(day.day)),
            "day": data.first_day + place,
            "arm": RUN_IN if arm == NO_ARM else data.arms[arm],
            "in_analysis": int(data.in_analysis[place]),
            "taken": "" if np.isnan(data.taken[place]) else f"{data.taken[place]:g}",
        }
        writer.writerow(line)
    return ExportedFile(f"{fit.public_id}-DIARY.csv", "text/csv", text.getvalue())


def _day_values(day: DiaryDayRow, entry: DiaryEntryRow | None) -> dict[str, object]:
    """Return what was reported, a missing answer as nothing; no note, no date, no author."""
    values: dict[str, object] = {"period": day.period, "phase": day.phase}
    if entry is None:
        return values
    effects = {f"effect_{key}": severity for key, severity in entry.side_effects.items()}
    return values | {
        "pain": entry.pain,
        "bother": entry.bother,
        "sleep": entry.sleep,
        "interference": entry.interference,
        "rescue_doses": entry.rescue_doses,
        "intake": entry.intake,
        "source": entry.source,
        "minutes_late": entry.minutes_late,
        **effects,
    }


def _protocol_file(
    _session: Session, _vault: Vault, _trial: TrialRow, fit: FitRow, result: Result
) -> ExportedFile:
    """Return what was fitted and how it was judged; half-lives and reference name treatments."""
    if result.treatments is None:
        raise NotAllowedError(
            _("This file would tell the arms apart. It can be had after the release.")
        )
    specification = json.loads(str(result.summary["specification"]))
    lines = [
        f"# Analysis {fit.public_id}, protocol {fit.protocol_hash}.",
        *(f"# {label}: {_one_line(name)}" for label, name in result.treatments.items()),
        *_toml_tables(specification),
        *_table("run_in", {"label": RUN_IN}),
    ]
    return ExportedFile(
        f"{fit.public_id}-PROTOCOL.toml", "application/toml", "\n".join(lines) + "\n"
    )


def _toml_tables(specification: Mapping[str, object]) -> list[str]:
    """Return the tables of docs/analysis-files.md for a specification's canonical values."""
    scale, arms = specification["scale"], specification["arms"]
    priors, decision = specification["priors"], specification["decision"]
    assert isinstance(scale, Mapping)  # noqa: S101  # as Specification writes it
    assert isinstance(arms, list)  # noqa: S101
    assert isinstance(priors, Mapping)  # noqa: S101
    assert isinstance(decision, Mapping)  # noqa: S101
    lines = _table(
        "outcome",
        {
            "column": "pain",
            "scale": [scale["low"], scale["high"]],
            "step": scale.get("step"),
            "better": scale["better"],
        },
    )
    for arm in arms:
        lines += _table("arms", arm, of_many=True)
    ends = specification.get("ends")
    lines += _table(
        "model",
        {
            **{name: specification[name] for name in ("trend", "period_effect", "carryover")},
            "ends_of_scale": ends["choice"] if isinstance(ends, Mapping) else None,
        },
    )
    lines += _table("priors", {})
    lines += [f"{name} = {_prior(prior)}" for name, prior in priors.items()]
    weights, items = specification["weights"], specification.get("side_effects", [])
    assert isinstance(weights, Mapping)  # noqa: S101
    assert isinstance(items, list)  # noqa: S101
    for item in items:
        lines += _table("side_effects", {**item, "column": f"effect_{item['name']}"}, of_many=True)
    return lines + _table("weights", weights) + _table("decision", decision)


def _table(name: str, values: Mapping[str, object], *, of_many: bool = False) -> list[str]:
    head = f"[[{name}]]" if of_many else f"[{name}]"
    given = [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return ["", head, *given]


def _prior(prior: Mapping[str, object]) -> str:
    """Return a prior as the protocol file writes it."""
    written = {
        "Normal": ("normal", ("mean", "sd")),
        "BoundedNormal": ("normal", ("mean", "sd")),
        "HalfNormal": ("halfnormal", ("scale",)),
        "LogNormal": ("lognormal", ("mean_log", "sd_log")),
        "HalfLifePerArm": ("lognormal_sd", ("sd_log",)),
        "HalfLifeShared": ("shared_lognormal", ("mean_log", "sd_log")),
    }
    family, names = written[str(prior["family"])]
    numbers = [prior[name] for name in names]
    given = f"{family} = {_toml(numbers if len(numbers) > 1 else numbers[0])}"
    if prior["family"] == "BoundedNormal":
        given += f", bounds = {_toml([prior['low'], prior['high']])}"
    return f"{{ {given} }}"


def _toml(value: object) -> str:
    """Return a value as TOML; JSON writes the same texts, lists, booleans and numbers."""
    return json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
