"""Every error a person can cause, named after what went wrong for that person.

An error carries the English sentence that person reads and the values in it, kept apart
so that the edge can translate the sentence before the values go in.
"""

from collections.abc import Mapping


class TrialError(Exception):
    """Something a person did cannot be done; the sentence says why and what helps.

    Attributes:
        sentence: English text with ``%(name)s`` places, a key of the translation catalogue.
        values: what goes into the places.
    """

    def __init__(self, sentence: str, **values: object) -> None:
        self.sentence = sentence
        self.values: Mapping[str, object] = values
        super().__init__(sentence % values if values else sentence)


class DesignError(TrialError):
    """A design that cannot answer the question, or that nobody could follow."""


class ProtocolError(TrialError):
    """A protocol that is incomplete or contradicts itself."""


class StateError(TrialError):
    """The trial is not in a state in which this can be done."""


class NotAllowedError(TrialError):
    """This person may not do or see this."""


class NotFoundError(TrialError):
    """There is no such thing, or this person may not know of it."""


class EditConflictError(TrialError):
    """Somebody else changed the same thing in the meantime."""


class InvitationError(TrialError):
    """A personal link or code that does not open (used, expired, revoked, unknown)."""


class DiaryClosedError(TrialError):
    """The diary day is not open for answers (too early, too late, not expected)."""


class PhotoError(TrialError):
    """A photo that cannot be taken: none at all, or too large."""


class AllocationError(TrialError):
    """The allocation cannot be drawn, read or verified."""


class AnalysisError(TrialError):
    """An analysis that cannot be requested, released or decided on."""


class CalibrationError(StateError):
    """What a design can tell is not known yet, so its protocol cannot be frozen."""


class AuditError(TrialError):
    """The audit trail does not fit together."""


class AccountError(TrialError):
    """An account that cannot be made, changed or entered."""
