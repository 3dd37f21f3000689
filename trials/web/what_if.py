"""The verdict at another weight of side effects, tried while the reader waits."""

from dataclasses import dataclass

from flask import request
from flask_babel import gettext as _

from trials.domain.protocol import LARGEST_WEIGHT
from trials.services.what_if import WhatIf
from trials.web.phrases import Names, name_of, number_text, percent_text
from trials.web.verdict import VerdictText, verdict_text


@dataclass(frozen=True, slots=True)
class WhatIfText:
    """The answer at another weight.

    Attributes:
        weight: that was tried, as text.
        frozen: that decides, as text.
        is_frozen: whether both are the same.
        verdict: what the rule would say.
        arms: name, net burden with its middle 90 %, and chance of being the best; best first.
    """

    weight: str
    frozen: str
    is_frozen: bool
    verdict: VerdictText
    arms: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class WhatIfForm:
    """The field to try another weight with.

    Attributes:
        action: where it is answered.
        typed: what stands in the field.
        error: what is wrong with it, "" if nothing.
        most: the largest weight there is, as text.
    """

    action: str
    typed: str
    error: str
    most: str


def what_if_form(action: str, typed: str = "", error: str = "") -> WhatIfForm:
    """Return the field, empty or as it was sent."""
    return WhatIfForm(action, typed, error, number_text(LARGEST_WEIGHT, 0))


def asked_weight() -> tuple[str, float | None]:
    """Return the weight of the request as typed and as a number; None where it is none."""
    typed = request.args.get("weight", "").strip()[:12]
    try:
        return typed, float(typed.replace(",", "."))
    except ValueError:
        return typed, None


def not_a_weight() -> str:
    """Return what to say of a weight that is no number."""
    return str(
        _("Give a number of points from 0 to %(most)s.", most=number_text(LARGEST_WEIGHT, 0))
    )


def read_what_if(found: WhatIf, names: Names) -> WhatIfText:
    """Return the answer as text.

    Args:
        found: what the engine said.
        names: what this reader calls each arm.
    """
    summary = {
        "verdict": found.verdict,
        "arms": {label: {"p_best": arm.p_best} for label, arm in found.arms.items()},
    }
    ranked = sorted(found.arms.items(), key=lambda item: item[1].mean)
    return WhatIfText(
        weight=number_text(found.weight, 2),
        frozen=number_text(found.frozen, 2),
        is_frozen=abs(found.weight - found.frozen) < 1e-9,
        verdict=verdict_text(summary, names),
        arms=tuple(
            (
                name_of(label, names),
                str(
                    _(
                        "%(mean)s (%(low)s to %(high)s)",
                        mean=number_text(arm.mean, 1),
                        low=number_text(arm.low, 1),
                        high=number_text(arm.high, 1),
                    )
                ),
                percent_text(arm.p_best),
            )
            for label, arm in ranked
        ),
    )
