"""What requests that arrive now are decided under."""

from collections.abc import Callable
from dataclasses import dataclass

from specsched.policy.base import Policy


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One configuration's say in decisions. Replaced as a whole; a request keeps what it began with."""

    policy: Policy
    make_policy: Callable[[], Policy]
    """Makes one of the same settings that has learnt nothing."""
    prompt_classes: tuple[str, ...]
    """Classes that callers may name."""
    kind: str = ""
    """Of the policy."""
    round_settings: str = ""
    """For the workers' round controllers; empty: their own."""
    disabled_drafts: frozenset[str] = frozenset()
    config_sha: str = ""
