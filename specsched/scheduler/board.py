"""Which drafts requests may be planned with, and rounds may use: the operator's word, then the configuration's."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from specsched.records import DraftSwitches, ModelInfo, SpeculationHint


class DraftState(StrEnum):
    """Whether a draft may be used."""

    ACTIVE = "active"
    DRAINING = "draining"
    """Requests that use it go on; new ones don't."""
    DISABLED = "disabled"
    """No round uses it."""


class Board:
    """States of the drafts, and the switch above them all. The operator's word ends with the service."""

    def __init__(self, disabled: frozenset[str]) -> None:
        """Begin as a configuration says."""
        self._disabled = disabled
        self._said: dict[str, DraftState] = {}
        self.speculation = True

    def configure(self, disabled: frozenset[str]) -> None:
        """Follow another configuration; it goes before what was said of a draft whose entry changed."""
        for draft in disabled ^ self._disabled:
            self._said.pop(draft, None)
        self._disabled = disabled

    def say(self, draft_model: str, state: DraftState) -> None:
        """Take the operator's word."""
        self._said[draft_model] = state

    def state(self, draft_model: str) -> DraftState:
        """State of a draft."""
        configured = DraftState.DISABLED if draft_model in self._disabled else DraftState.ACTIVE
        return self._said.get(draft_model, configured)

    def usable(self, drafts: Sequence[ModelInfo]) -> tuple[str, ...]:
        """Drafts of a worker that new requests may be planned with."""
        if not self.speculation:
            return ()
        resident = [draft.id for draft in drafts if draft.state == "active" and draft.residency == "resident"]
        return tuple(draft for draft in resident if self.state(draft) is DraftState.ACTIVE)

    def described(self, drafts: Sequence[ModelInfo]) -> tuple[ModelInfo, ...]:
        """A worker's drafts, each with its state."""
        return tuple(replace(draft, state=self.state(draft.id).value) for draft in drafts)

    @property
    def switches(self) -> DraftSwitches:
        """What every worker must know."""
        named = {*self._said, *self._disabled}
        disabled = frozenset(draft for draft in named if self.state(draft) is DraftState.DISABLED)
        return DraftSwitches(self.speculation, disabled)


def steered(hint: SpeculationHint, usable: Sequence[str]) -> SpeculationHint:
    """What is left of a caller's hint: a draft that may not be used now is plain decoding."""
    wanted = hint.draft_model
    return hint if wanted is None or wanted in usable else SpeculationHint(disable=True)
