"""The policies that a configuration may name: per kind, what the scheduler and what a worker run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import Policy, RoundController
from specsched.policy.baselines.batch_table import batch_table_controller, batch_table_policy
from specsched.policy.baselines.ema import ema_controller, ema_policy
from specsched.policy.baselines.epsilon_greedy import epsilon_greedy_controller, epsilon_greedy_policy
from specsched.policy.baselines.exp3spec import exp3spec_controller, exp3spec_policy
from specsched.policy.baselines.hedgespec import HedgeSpecController, HedgeSpecPolicy
from specsched.policy.baselines.heuristic import heuristic_controller, heuristic_policy
from specsched.policy.baselines.metasd import metasd_controller, metasd_policy
from specsched.policy.baselines.smartspec import smartspec_controller, smartspec_policy
from specsched.policy.baselines.ucbspec import ucbspec_controller, ucbspec_policy
from specsched.policy.controller import AdaptiveController, PlannedController
from specsched.policy.fixed import FixedPolicy, PlainPolicy
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, CostGrid


@dataclass(frozen=True, slots=True)
class Choices:
    """What a configuration says of its policy. Each kind takes what it needs."""

    settings: PolicySettings
    draft_model: str = NO_DRAFT
    """The one draft of the kinds that need one."""
    gamma: int = 0
    batch_table: Mapping[int, int] = field(default_factory=dict)
    """Largest batch of a bracket → γ."""
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    """Draft → hash of its weights."""

    @property
    def max_gamma(self) -> int:
        """Largest lookahead."""
        return self.settings.max_gamma


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind is built."""

    policy: Callable[[Choices, tuple[str, ...]], Policy]
    """From the choices and the prompt classes."""
    controller: Callable[[Choices, CostGrid], RoundController]
    """From the choices and the costs that a worker profiled."""
    needs_draft: bool = True


KINDS: Mapping[str, Kind] = {
    "adaptive": Kind(
        lambda choices, classes: AdaptivePolicy(choices.settings, classes, choices.seed, choices.versions),
        lambda choices, costs: AdaptiveController(choices.settings, costs, choices.seed),
        needs_draft=False,
    ),
    "plain": Kind(
        lambda _choices, _classes: PlainPolicy(),
        lambda _choices, _costs: PlannedController(),
        needs_draft=False,
    ),
    "fixed": Kind(
        lambda choices, _classes: FixedPolicy(choices.draft_model, choices.gamma),
        lambda _choices, _costs: PlannedController(),
    ),
    "heuristic": Kind(
        lambda choices, _classes: heuristic_policy(choices.draft_model, choices.max_gamma),
        lambda _choices, _costs: heuristic_controller(),
    ),
    "batch_table": Kind(
        lambda choices, _classes: batch_table_policy(choices.draft_model, choices.batch_table, choices.max_gamma),
        lambda choices, _costs: batch_table_controller(choices.batch_table),
    ),
    "ema": Kind(
        lambda choices, _classes: ema_policy(choices.draft_model, choices.max_gamma),
        lambda choices, _costs: ema_controller(choices.max_gamma),
    ),
    "smartspec": Kind(
        lambda choices, _classes: smartspec_policy(choices.draft_model, choices.max_gamma),
        lambda _choices, costs: smartspec_controller(costs),
    ),
    "ucbspec": Kind(
        lambda choices, _classes: ucbspec_policy(choices.max_gamma, choices.seed),
        lambda _choices, costs: ucbspec_controller(costs),
        needs_draft=False,
    ),
    "exp3spec": Kind(
        lambda choices, _classes: exp3spec_policy(choices.max_gamma, choices.seed),
        lambda _choices, costs: exp3spec_controller(costs),
        needs_draft=False,
    ),
    "metasd": Kind(
        lambda choices, _classes: metasd_policy(choices.max_gamma, choices.seed),
        lambda _choices, _costs: metasd_controller(),
        needs_draft=False,
    ),
    "hedgespec": Kind(
        lambda choices, _classes: HedgeSpecPolicy(choices.max_gamma, choices.seed),
        lambda _choices, _costs: HedgeSpecController(),
        needs_draft=False,
    ),
    "epsilon_greedy": Kind(
        lambda choices, _classes: epsilon_greedy_policy(choices.draft_model, choices.max_gamma),
        lambda choices, _costs: epsilon_greedy_controller(choices.max_gamma, choices.seed),
    ),
}
