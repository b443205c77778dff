"""What one run of `models distill` is asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from specsched.errors import SetupError
from specsched.modelkit.draft import DraftShape
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.objectives import OBJECTIVES


@dataclass(frozen=True, slots=True)
class DraftJob:
    """One draft for one target.

    Raises:
        SetupError: no such objective, or numbers that no run can have.
    """

    target: Path
    out: Path
    prompts: Path
    classes: tuple[str, ...] = ()
    """Those that it is at home in; empty for all."""
    others: float = 0.0
    """Share of lessons from the classes where it is not at home, so that it forgets little of what it knew."""
    per_class: int = 500
    answers: int = 0
    """Per class, records whose own completion the draft learns on too: the target reads it and writes nothing."""
    max_new_tokens: int = 128
    max_prompt_tokens: int = 384
    tokens: int = 500_000
    rate: float = 1.0
    """Factor on the learning rates: below 1 for a draft that goes on from another."""
    shape: DraftShape = field(default_factory=DraftShape)
    start: Path | None = None
    objective: str = "auto"
    seed: int = 0
    device: str = "cpu"
    cache: Path | None = None
    """Keeps taught traces, so that several drafts learn from one generation and a run that was killed goes on."""

    def __post_init__(self) -> None:
        if self.objective not in {"auto", *OBJECTIVES}:
            raise SetupError(f"objective: {self.objective!r} is none of auto, {', '.join(OBJECTIVES)}")
        if not 0 <= self.others < 1:
            raise SetupError(f"others: {self.others} is no share below 1")

    def longest_prompt(self, target: LanguageModel) -> int:
        """Tokens that a prompt may have."""
        return min(self.max_prompt_tokens, target.context_tokens - self.max_new_tokens)

    def elsewhere(self, count: int, others: int) -> int:
        """Lessons of each of so many other classes beside `count` of every class at home."""
        return round(count * len(self.classes) * self.others / (1 - self.others) / others) if others else 0
