"""Policies by name, as a command line spells them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from specsched.bench.evaluation.drive import Drive, Run
from specsched.bench.evaluation.world import World
from specsched.classify.base import PROMPT_CLASSES
from specsched.errors import SetupError
from specsched.policy.kinds import KINDS, Choices
from specsched.policy.memory import Learner
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT

_FIXED_GAMMA = 4
"""Of the baseline that never moves."""
_SPELLING = "KIND, KIND:DRAFT or KIND:DRAFT:GAMMA"


@dataclass(frozen=True, slots=True)
class Contender:
    """One policy with its round controller."""

    kind: str
    draft_model: str = NO_DRAFT
    gamma: int = 0

    @property
    def name(self) -> str:
        """As it is spelt."""
        parts = [self.kind, *([self.draft_model] if self.draft_model != NO_DRAFT else [])]
        return ":".join(parts + ([str(self.gamma)] if self.gamma else []))

    def run(self, world: World, settings: PolicySettings | None = None) -> Run:
        """Begin with what the world tells, and go through it. Draws are seeded by the world's seed."""
        chosen = settings or PolicySettings(max_gamma=world.max_gamma)
        choices = Choices(chosen, self.draft_model, self.gamma, {8: 4, 32: 2}, world.seed)
        kind = KINDS[self.kind]
        policy = kind.policy(choices, PROMPT_CLASSES)
        if isinstance(policy, Learner):
            policy.restore(world.priors)
        return Drive(world, policy, kind.controller(choices, world.profiled)).run()


@dataclass(frozen=True, slots=True)
class Contestants:
    """Reads contenders that can play where there are these drafts."""

    drafts: tuple[str, ...]
    max_gamma: int

    def chosen(self, texts: Sequence[str], *, baselines: bool) -> tuple[Contender, ...]:
        """Return those that are named, then the other kinds if they are wanted too, none twice.

        Raises:
            SetupError: a name that is none.
        """
        named = [self.parse(text) for text in texts]
        return tuple(dict.fromkeys((*named, *(self._baselines() if baselines else ()))))

    def _baselines(self) -> Iterator[Contender]:
        for kind, made in KINDS.items():
            for draft in self.drafts if made.needs_draft else (NO_DRAFT,):
                yield Contender(kind, draft, _FIXED_GAMMA if kind == "fixed" else 0)

    def parse(self, text: str) -> Contender:
        """Read KIND[:DRAFT[:GAMMA]].

        Raises:
            SetupError: no such kind or draft, or no number.
        """
        kind, *rest = text.split(":")
        if kind not in KINDS or len(rest) > 2:
            raise SetupError(f"--policy {text!r}: give {_SPELLING}, KIND one of {', '.join(KINDS)}")
        self._check_draft(text, kind, rest)
        return Contender(kind, rest[0] if rest else NO_DRAFT, self._gamma(text, rest[1]) if len(rest) == 2 else 0)

    def _check_draft(self, text: str, kind: str, rest: Sequence[str]) -> None:
        if KINDS[kind].needs_draft != bool(rest) or (rest and rest[0] not in self.drafts):
            wanted = f"a draft of {', '.join(self.drafts)}" if KINDS[kind].needs_draft else "no draft"
            raise SetupError(f"--policy {text!r}: {kind} takes {wanted}")
        if kind == "fixed" and len(rest) < 2:
            raise SetupError(f"--policy {text!r}: fixed takes a γ, as in fixed:{self.drafts[0]}:4")

    def _gamma(self, text: str, number: str) -> int:
        if not number.isdigit() or not 1 <= int(number) <= self.max_gamma:
            raise SetupError(f"--policy {text!r}: γ is a number from 1 to {self.max_gamma}")
        return int(number)
