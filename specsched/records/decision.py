"""What the policy decides, and why."""

from dataclasses import dataclass

NO_DRAFT = "none"
"""The draft's name in an arm that does not speculate. Its gamma is 0."""


@dataclass(frozen=True, slots=True)
class ClassProbabilities:
    """π: one probability per prompt class; they sum to 1."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def best(self) -> str:
        """The likeliest class."""
        return self.classes[self.probabilities.index(max(self.probabilities))]

    @classmethod
    def certain(cls, prompt_class: str, classes: tuple[str, ...]) -> "ClassProbabilities":
        """All weight on one class (a caller that knows it)."""
        return cls(classes, tuple(float(name == prompt_class) for name in classes))


@dataclass(frozen=True, slots=True)
class Beta:
    """A Beta(a, b) belief about one hazard."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """Posterior mean a / (a + b)."""
        return self.a / (self.a + self.b)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft that the round controller may use, with the prior of its hazards, position 1 first."""

    draft_model: str
    hazards: tuple[Beta, ...]
    covariance: tuple[float, ...] = ()
    """What doubt about its level shares with each candidate's, in their order, in logits²; empty: nothing."""


@dataclass(frozen=True, slots=True)
class ArmScore:
    """Why an arm was or wasn't chosen."""

    draft_model: str
    gamma: int
    goodput_tokens_per_second: float
    goodput_low: float
    """5 % quantile."""
    goodput_high: float
    """95 % quantile."""
    acceptance_length: float
    """Expected tokens a round, bonus included."""
    round_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What the scheduler asks of the worker: a first arm, and the bounds within which γ may move."""

    draft_model: str = NO_DRAFT
    gamma: int = 0
    max_gamma: int = 0
    pinned: bool = True
    """The caller fixed γ: the round controller leaves it alone."""
    candidates: tuple[Candidate, ...] = ()
    seed: int = 0
    """For the round controller's own draws."""
    explored: bool = False
    propensity: float = 1.0
    """Probability with which the policy chose this arm, given the draws that it chose among."""
    policy: str = "fixed"
    policy_version: str = ""
    scores: tuple[ArmScore, ...] = ()
    round_settings: str = ""
    """Of the worker's round controller, as JSON of the `policy` section; empty: the worker's own."""


@dataclass(frozen=True, slots=True)
class GuardBudget:
    """Whose tokens speculation may lose against plain decoding, and how many."""

    worker_id: str
    """That would run the request; each keeps an account of its own."""
    tenant: str
    tokens: float | None = None
    """None where the tenant has decoded nothing there yet, or the policy has no guard."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Class and plan of one request, as the caller sees them."""

    class_probabilities: ClassProbabilities
    plan: Plan
    config_sha: str = ""
    guard: GuardBudget | None = None
    """Under whose account it would be played; where the decision is explained."""

    @property
    def prompt_class(self) -> str:
        """The likeliest class."""
        return self.class_probabilities.best
