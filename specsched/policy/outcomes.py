"""What one round says per position, and no more."""

from specsched.records import RoundRecord


def outcomes(record: RoundRecord, positions: int) -> tuple[list[float], list[float]]:
    """Return what a round says per position: mass accepted and mass rejected, each [positions].

    Positions up to the first rejection speak, those beyond are censored, as is a cut at the completion's end.
    Where β_j = Σ min(p, q) is known it stands for the coin: same mean, less variance. A proposer that drafted
    fewer tokens than it was asked for had nothing to go by: that is a miss at the next position.
    """
    accepted, rejected = [0.0] * positions, [0.0] * positions
    by_overlap = bool(record.overlaps) and not record.censored
    known = record.overlaps[: record.gamma] if by_overlap else (1.0,) * record.num_accepted
    for j, beta in enumerate(known[:positions]):
        accepted[j], rejected[j] = beta, 1.0 - beta
    miss = record.num_accepted
    coin = miss < record.gamma and not by_overlap
    short = miss == record.gamma < record.planned_gamma
    if (coin or short) and not record.censored and miss < positions:
        rejected[miss] = 1.0
    return accepted, rejected
