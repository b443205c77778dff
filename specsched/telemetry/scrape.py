"""One look at a metrics endpoint: samples by name and labels, and what changed since the look before."""

import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

from specsched.errors import SetupError

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scrape:
    """All samples at a time."""

    at: float
    """Monotonic seconds."""
    samples: tuple[tuple[str, Labels, float], ...]
    """(name without `specsched_`, labels, value)."""

    def of(self, name: str, **wanted: str) -> Iterator[tuple[Labels, float]]:
        """Yield the samples of a name whose labels have these values."""
        for known, labels, value in self.samples:
            if known == name and all(labels.get(label) == each for label, each in wanted.items()):
                yield labels, value

    def total(self, name: str, **wanted: str) -> float:
        """Sum them up."""
        return sum(value for _, value in self.of(name, **wanted))


def scrape(address: str, now: float, timeout_seconds: float = 3.0) -> Scrape:
    """Read an endpoint.

    Args:
        address: host:port.
        now: Monotonic seconds.
        timeout_seconds: For the answer.

    Raises:
        SetupError: nobody answers there, or something else does.
    """
    url = f"http://{address}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:
            text = answer.read().decode()
        families = list(text_string_to_metric_families(text))
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise SetupError(f"no metrics at {url}: {reason}; serve with telemetry.metrics_address") from error
    samples = tuple(
        (sample.name.removeprefix("specsched_"), sample.labels, sample.value)
        for family in families
        for sample in family.samples
        if sample.name.startswith("specsched_")
    )
    if not samples:
        raise SetupError(f"{url} serves metrics of something else")
    return Scrape(now, samples)


@dataclass(frozen=True, slots=True)
class Change:
    """Two looks, and what happened between them."""

    before: Scrape | None
    """None: everything since the service started."""
    now: Scrape

    @property
    def seconds(self) -> float | None:
        """Time between the looks; None where nobody knows."""
        return None if self.before is None else self.now.at - self.before.at

    def count(self, name: str, **wanted: str) -> float:
        """How much a counter grew; after a restart of the service, what it has come to since."""
        total = self.now.total(name, **wanted)
        grown = total if self.before is None else total - self.before.total(name, **wanted)
        return grown if grown >= 0 else total

    def values(self, name: str, label: str) -> list[str]:
        """Values of a label, in order."""
        return sorted({labels[label] for labels, _ in self.now.of(name)})
