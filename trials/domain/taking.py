"""When in the day the treatment is taken: the same in every period, or the hours would tell it.

A drug that is taken once and one that is taken three times a day are dispensed alike: where
one arm has no dose, its box holds a capsule without the drug.
"""

from dataclasses import dataclass
from enum import StrEnum

from trials.domain.errors import ProtocolError
from trials.domain.words import marked as _


class TimeOfDay(StrEnum):
    """When something is taken."""

    MORNING = "morning"
    NOON = "noon"
    EVENING = "evening"
    BEDTIME = "bedtime"


TIME_NAMES: dict[TimeOfDay, str] = {
    TimeOfDay.MORNING: _("morning"),
    TimeOfDay.NOON: _("noon"),
    TimeOfDay.EVENING: _("evening"),
    TimeOfDay.BEDTIME: _("bedtime"),
}

_BEGINS = {
    TimeOfDay.MORNING: 4,
    TimeOfDay.NOON: 11,
    TimeOfDay.EVENING: 16,
    TimeOfDay.BEDTIME: 21,
}
"""The hour from which a time of day is the one to think of."""

LONGEST_FORM = 40


@dataclass(frozen=True, slots=True)
class TakingPlan:
    """How the treatment of a day is taken, the same in every period.

    Attributes:
        times: of the day, in their order; at least one.
        form: what is taken, such as "capsule", "" where it goes without saying.
    """

    times: tuple[TimeOfDay, ...]
    form: str = ""

    def __post_init__(self) -> None:
        if not self.times or list(self.times) != [t for t in TimeOfDay if t in self.times]:
            raise ProtocolError(_("Say when in the day the treatment is taken, each time once."))
        if len(self.form) > LONGEST_FORM:
            raise ProtocolError(_("Say in a word or two what is taken, such as capsule."))

    def next_time(self, hour: int) -> TimeOfDay:
        """Return the time of day that a person should think of at this local hour.

        Args:
            hour: 0-23; the small hours still belong to the evening before.
        """
        begun = [t for t in self.times if _BEGINS[t] <= (hour if hour >= 4 else hour + 24)]
        return begun[-1] if begun else self.times[0]
