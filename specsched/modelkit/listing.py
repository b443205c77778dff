"""A pool at a glance."""

from specsched.modelkit.report import Table, Value
from specsched.pool.manifest import ModelSpec, Pool
from specsched.pool.weights import verify_weights


def list_pool(pool: Pool) -> Table:
    """One row a model, the target's first.

    Raises:
        PoolError: weights that are missing, damaged, or not those of the manifest.
    """
    rows = [_row(spec, "target" if spec is pool.target else spec.kind) for spec in (pool.target, *pool.drafts)]
    return Table(str(pool.manifest), ("id", "kind", "parameters", "MiB", "dtype", "quantization", "version"), rows)


def _row(spec: ModelSpec, kind: str) -> tuple[Value, ...]:
    if spec.path is None:
        return spec.id, kind, None, None, None, None, None
    weights = verify_weights(spec)
    return (
        spec.id,
        kind,
        weights.parameters,
        round(weights.bytes / 2**20, 2),
        spec.dtype,
        spec.quantization,
        weights.version,
    )
