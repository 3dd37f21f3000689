"""A protocol in words: what was agreed, for the pages of those who agreed to it."""

from collections.abc import Iterator

from flask_babel import gettext as _
from flask_babel import ngettext

from models.specification import DecisionRule
from trials.domain.blinding import Blinding
from trials.domain.design import AnalysisSet, EndsOfScale, LookSchedule, Outcome, Scheme
from trials.domain.protocol import Protocol
from trials.domain.taking import TIME_NAMES
from trials.web.phrases import number_text, percent_text

NOTHING = "\N{EN DASH}"


def agreed(protocol: Protocol) -> tuple[tuple[str, str], ...]:
    """Return heading and value of each part of the agreement, but the candidates."""
    design, rule = protocol.design, protocol.decision
    order = {
        Scheme.BALANCED: _("Balanced: each treatment follows each other equally often"),
        Scheme.RANDOM_BLOCKS: _("Random within each block"),
        Scheme.PAIRED: _("Paired: every second block reverses the one before"),
        Scheme.FIXED: _("Fixed by hand"),
    }[design.scheme]
    outcome = {
        Outcome.PAIN: _("Pain, average of 24 hours"),
        Outcome.NET_BURDEN: _("Net burden: pain and side effects together"),
    }[protocol.outcome]
    weighing = {
        AnalysisSet.AS_ASSIGNED: _("Every day counts for the treatment that was due"),
        AnalysisSet.AS_TAKEN: _("By what was taken"),
    }[protocol.analysis_set]
    asked = [item.label for item in protocol.questionnaire.side_effects]
    extra = [
        text
        for wanted, text in (
            (protocol.questionnaire.sleep, _("sleep")),
            (protocol.questionnaire.interference, _("interference")),
            (
                bool(protocol.questionnaire.rescue),
                _(
                    "rescue medicine: %(name)s",
                    name=", ".join(protocol.questionnaire.rescue_medicines),
                ),
            ),
        )
        if wanted
    ]
    window = protocol.window
    rows = [
        (_("Treatments"), _("hidden") if protocol.blinding is Blinding.BLINDED else _("open")),
        (
            _("Blocks"),
            _(
                "%(blocks)s, each treatment once in each; %(periods)s periods",
                blocks=design.blocks,
                periods=design.periods,
            ),
        ),
        (
            _("Period"),
            _(
                "%(days)s days, the first %(washout)s left out of the answer",
                days=design.period_days,
                washout=design.washout_days,
            ),
        ),
        (_("Run-in"), ngettext("%(num)s day", "%(num)s days", design.run_in_days)),
        (_("Order"), order),
        (_("Outcome"), outcome),
    ]
    if protocol.outcome is Outcome.NET_BURDEN:
        rows.append(
            (
                _("Weight of side effects"),
                _(
                    "one point of bother counts as %(weight)s points of pain",
                    weight=number_text(protocol.bother_weight, 2),
                ),
            )
        )
    rows += [
        (
            _("Called best at"),
            _(
                "%(best)s or more; smallest difference that matters: %(margin)s points",
                best=percent_text(protocol.needed_to_be_best),
                margin=number_text(rule.equal_margin),
            ),
        ),
        (
            _("Looks at the answer"),
            _("after each block from the second on")
            if protocol.looks is LookSchedule.EACH_BLOCK
            else _("one, at the end"),
        ),
        *_harm(protocol),
        (_("Ratings near 0 or 10"), ends_in_words(protocol.ends_of_scale)),
        (_("Days without the dose"), weighing),
        (
            _("Diary"),
            _(
                "from %(opens)s to %(closes)s",
                opens=window.opens.isoformat("minutes"),
                closes=window.closes.isoformat("minutes"),
            ),
        ),
        *_taking(protocol),
        (_("Side effects asked"), ", ".join(asked) or _("none by name")),
        (_("Also asked"), ", ".join(extra) or _("nothing else")),
    ]
    return tuple((str(head), str(value)) for head, value in rows)


def _taking(protocol: Protocol) -> list[tuple[str, str]]:
    rows = []
    if protocol.taking is not None:
        times = ", ".join(str(_(TIME_NAMES[time])) for time in protocol.taking.times)
        form = protocol.taking.form
        rows.append((str(_("Taken")), f"{times} ({form})" if form else times))
    if protocol.shows_pain_line:
        rows.append((str(_("Own pain line")), str(_("shown to the patient from the start"))))
    return rows


def ends_in_words(choice: EndsOfScale) -> str:
    """Return by which rule a model for ratings near an end of the scale is used."""
    words: dict[EndsOfScale, str] = {
        EndsOfScale.BY_RULE: _(
            "taken as rounded and cut off when more than 15 % of the rated days lie at 0 or at 10"
        ),
        EndsOfScale.NEVER: _("taken as if the scale had no ends"),
        EndsOfScale.ALWAYS: _("always taken as rounded and cut off"),
    }
    return words[choice]


def harm_in_words(limit: float) -> str:
    """Return when a treatment is left out for side effects."""
    sentence: str = _(
        "a side effect severe on more than %(limit)s of the days, at a chance above %(share)s",
        limit=percent_text(limit),
        share=percent_text(DecisionRule().veto_probability),
    )
    return sentence


def _harm(protocol: Protocol) -> Iterator[tuple[str, str]]:
    if protocol.severe_limit is not None:
        yield _("Left out for"), harm_in_words(protocol.severe_limit)


def candidates(protocol: Protocol) -> tuple[tuple[str, str, str], ...]:
    """Return name, dose and role of each candidate, in the order they were entered."""
    return tuple(
        (
            candidate.name,
            candidate.dose or NOTHING,
            str(_("reference")) if candidate.treatment == protocol.comparator else NOTHING,
        )
        for candidate in protocol.candidates
    )
