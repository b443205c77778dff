"""The policy's numbers (POLICY.md)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What may be tuned. The defaults are POLICY.md’s where it names them."""

    max_gamma: int = 8
    """Largest lookahead."""
    unknown_mean: float = 0.6
    """First hazard of a draft that nobody has seen: hopeful, so that it is tried."""
    unknown_strength: float = 2.0
    """Pseudo-counts of that guess: vague, so that it is soon known."""
    prior_strength: float = 10.0
    """κ: pseudo-counts of a cell’s prior, until several classes of its draft tell how alike they are."""
    prior_bounds: tuple[float, float] = (3.0, 200.0)
    """Least and largest κ then."""
    kin_strength: float = 4.0
    """Pseudo-counts a cell that a draft's other weights leave behind."""
    forgetting: float = 0.999
    """ρ: what is left of a class's evidence after a round of that class."""
    tenant_cap: float = 100.0
    """Pseudo-counts that one tenant may have in a draft and class that others share; a request adds about ten."""
    alarm_slack: float = 0.5
    """Standard deviations by which requests may differ from their class, on the average, before it counts as change."""
    alarm_threshold: float = 8.0
    """Sum of what goes beyond at which the alarm rings."""
    unrest_threshold: float = 12.0
    """Sum of a draft's squared surprises, beyond what is usual, at which it is taken for another one."""
    alarm_keep: float = 0.1
    """Share of a draft's evidence in a class that an alarm leaves."""
    alarm_keep_others: float = 0.3
    """Share of the other drafts' evidence that is left where a draft is taken for another one."""
    offset_limit: float = 1.5
    """Bound of a request's offset u, in logits."""
    offset_sharing: float = 0.6
    """Weight of what another draft's rounds say about a request."""
    request_variance: float = 0.5
    """σ²: how far requests of one class lie apart, in logits²."""
    slowdown: float = 0.02
    """x: how much slower than plain decoding the guard allows."""
    guard_start_tokens: float = 2.0
    guard_cap_tokens: float = 2_000.0
    hindsight_share: float = 0.01
    """Largest share of a worker's time in which drafts are held against requests that did not play them."""
    watchdog_ratio: float = 1.15
    """Measured ÷ predicted time of the median round beyond which lookaheads are halved."""
    watchdog_rounds: int = 200
    """Rounds that are judged together."""
    gamma_gain: float = 0.02
    """A round's γ moves only for more than this."""
    switch_gain: float = 0.03
    """A request's draft changes only for more than this."""
    reconsider_rounds: int = 8
    """Rounds between two looks at a request's draft; the first two come after a quarter and a half of it."""
    draws: int = 8
    """Posterior draws per decision: one of them is played, and the propensity is the share that chose as it did."""
    boldness: float = 0.5
    """Of the beliefs' standard deviations, what these draws are made with."""
    boldness_in_hindsight: float = 0.1
    """The same where drafts are seen in hindsight: whoever plays one to learn of it pays for what comes free."""
    samples: int = 128
    """Posterior draws for the intervals of a decision that is explained."""
    candidates: int = 4
    """Drafts that a plan names, for the request to change between."""
    exploration_share: float = 0.3
    """Largest share of decisions that play another arm than the one believed to be best, over the long run."""
    exploration_burst: float = 200.0
    """Decisions that may do so before the share binds."""
