"""What tenants use, for Prometheus. Their number is bounded: whoever comes later is counted as `other`."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter

NOBODY = "default"
"""The label of requests that name no tenant."""
OTHER = "other"


class TenantMetrics:
    """Draft tokens and worker seconds, by tenant."""

    def __init__(self, registry: CollectorRegistry, max_tenants: int) -> None:
        """Register.

        Args:
            registry: Takes the metrics.
            max_tenants: Tenants with a label of their own: the first that come.
        """
        self._max_tenants = max_tenants
        self._known: set[str] = set()
        draft_tokens = Counter(
            "specsched_tenant_draft_tokens_total", "Tokens drafted and verified.", ("tenant",), registry=registry
        )
        seconds = Counter(
            "specsched_tenant_worker_seconds_total",
            "Seconds of workers' rounds; rows of one batch share its time evenly.",
            ("tenant",),
            registry=registry,
        )
        self._draft_tokens, self._seconds = cache(draft_tokens.labels), cache(seconds.labels)
        for tenant in (NOBODY, OTHER):
            self._draft_tokens(tenant)
            self._seconds(tenant)

    def used(self, tenant: str, draft_tokens: int, worker_seconds: float) -> None:
        """Count what one round of a tenant's request took."""
        label = self._label(tenant)
        self._draft_tokens(label).inc(draft_tokens)
        self._seconds(label).inc(worker_seconds)

    def _label(self, tenant: str) -> str:
        if not tenant or tenant in self._known:
            return tenant or NOBODY
        if len(self._known) >= self._max_tenants:
            return OTHER
        self._known.add(tenant)
        return tenant
