"""The configuration: a frozen tree, unknown keys refused, a unit in each name, a description on each field."""

import hashlib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """The public gRPC surface."""

    address: str = Field(default="127.0.0.1:50071", description="host:port or unix:PATH; port 0 takes a free one.")
    max_message_bytes: int = Field(default=4 * 2**20, ge=1024, description="Largest request that is read.")
    drain_seconds: float = Field(default=30.0, ge=0, description="On SIGTERM, time that running requests are given.")
    reflection: bool | None = Field(
        default=None, description="Whether server reflection answers; unset: on loopback and Unix sockets only."
    )


class PoolSection(Section):
    """Which models are served."""

    manifest: str | None = Field(default=None, description="Path of a pool.yaml; unset: the reference pool.")


class Classifier(Section):
    """Prompt classification."""

    enabled: bool = Field(default=True, description="Whether prompts are classified; off: every class equally likely.")


Kind = Literal["adaptive", "fixed", "plain", "heuristic", "batch_table", "ema", "smartspec", "ucbspec"]


class Policy(Section):
    """How draft and gamma are chosen."""

    kind: Kind = Field(default="adaptive", description="Which policy decides.")
    draft_model: str | None = Field(
        default=None, description="For kinds fixed, heuristic, batch_table, ema and smartspec: the draft."
    )
    gamma: int = Field(default=4, ge=0, le=64, description="For kind fixed: the lookahead.")
    batch_table: dict[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0, le=64)]] = Field(
        default={1: 5, 4: 3, 8: 1, 16: 0},
        min_length=1,
        description="For kind batch_table: largest batch of each bracket and its lookahead; beyond the last it is 0.",
    )
    max_gamma: int = Field(default=8, ge=1, le=64, description="Largest lookahead that any policy uses.")
    seed: int = Field(default=0, description="Of all draws that the policy makes.")


class Admission(Section):
    """How much the service takes on."""

    max_requests: int = Field(default=256, ge=1, description="Requests admitted and not yet complete.")
    max_outstanding_tokens: int = Field(
        default=131_072, ge=1, description="Prompt and completion tokens that admitted requests may still come to."
    )


class Workers(Section):
    """The processes that own the models."""

    count: int = Field(default=1, ge=1, le=64, description="Workers to start on this host.")
    addresses: tuple[str, ...] = Field(
        default=(), description="Workers that run already, host:port or unix:PATH; when given, none is started."
    )
    threads: int = Field(default=0, ge=0, description="Compute threads of a worker; 0: all cores shared evenly.")
    max_rows: int = Field(default=8, ge=1, le=1024, description="Requests that decode together on a worker.")
    kv_capacity_tokens: int = Field(default=16_384, ge=64, description="KV tokens of a worker.")
    prefill_chunk_tokens: int = Field(default=256, ge=1, description="Prompt tokens that one step takes in.")
    profile_seconds: float = Field(default=4.0, ge=0, description="Time for measuring costs at start.")
    start_timeout_seconds: float = Field(default=120.0, gt=0, description="Time a worker has to load its models.")
    restart_backoff_seconds: float = Field(default=0.5, gt=0, description="First pause before a restart; doubles.")
    restart_backoff_max_seconds: float = Field(default=30.0, gt=0, description="Longest pause before a restart.")
    max_resumes: int = Field(default=3, ge=0, description="Workers that one request may lose before it fails.")


def _host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65_535:
        raise PydanticCustomError("address", "expected host:port")
    return address


class Telemetry(Section):
    """What the service says of itself."""

    metrics_address: Annotated[str, AfterValidator(_host_and_port)] | None = Field(
        default=None,
        description="host:port where Prometheus scrapes /metrics, usually 127.0.0.1:9464; unset: nothing listens.",
    )


class Store(Section):
    """What the policy has learnt, over restarts."""

    path: str | None = Field(default=None, description="SQLite file; unset: what is learnt ends with the service.")


class Log(Section):
    """Logging to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severe level.")
    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, JSON elsewhere."
    )


class Config(Section):
    """specsched.yaml."""

    server: Server = Field(default=Server(), description="The public gRPC surface.")
    pool: PoolSection = Field(default=PoolSection(), description="Which models are served.")
    classifier: Classifier = Field(default=Classifier(), description="Prompt classification.")
    policy: Policy = Field(default=Policy(), description="How draft and gamma are chosen.")
    admission: Admission = Field(default=Admission(), description="How much the service takes on.")
    workers: Workers = Field(default=Workers(), description="The processes that own the models.")
    telemetry: Telemetry = Field(default=Telemetry(), description="What the service says of itself.")
    store: Store = Field(default=Store(), description="What the policy has learnt, over restarts.")
    log: Log = Field(default=Log(), description="Logging to standard error.")

    @property
    def sha(self) -> str:
        """Digest of all values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
