"""`workers:` — the processes that own the models."""

from typing import Annotated, Literal

from pydantic import Field

from specsched.config.sections.tls import TlsSection


class Workers(TlsSection):
    """The processes that own the models."""

    count: int = Field(default=1, ge=1, le=64, description="Workers to start on this host.")
    addresses: tuple[str, ...] = Field(
        default=(), description="Workers that run already, host:port or unix:PATH; when given, none is started."
    )
    threads: int = Field(
        default=0,
        ge=0,
        description="Compute threads; 0: one or a share of the cores, whichever proves faster at start.",
    )
    max_rows: int = Field(default=8, ge=1, le=1024, description="Requests that decode together on a worker.")
    kv_capacity_tokens: int = Field(default=16_384, ge=64, description="KV tokens of a worker.")
    prefill_chunk_tokens: int = Field(default=256, ge=1, description="Prompt tokens that one step takes in.")
    prefix_cache_tokens: int = Field(
        default=16_384, ge=0, description="KV tokens kept of earlier requests, within kv_capacity_tokens; 0 keeps none."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where models compute: cpu, cuda, cuda:N; auto: a GPU where there is one.",
    )
    kv_storage: Literal["auto", "rectangles", "blocks"] = Field(
        default="auto", description="How KV lies in memory; auto: rectangles on a CPU, blocks on a GPU."
    )
    rounds: Literal["auto", "host", "buffered", "captured"] = Field(
        default="auto",
        description="Who decides a round. host; captured: the GPU, by CUDA graphs; buffered: the device, no graphs;"
        " auto: captured on a GPU, host on a CPU.",
    )
    memory_bytes: int = Field(
        default=0, ge=0, description="Memory of a worker's models and their KV; 0: no limit, every draft stays."
    )
    synthetic_acceptance: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(),
        description="For load tests: rates by position at which drafts are accepted. Completions are invalid.",
    )
    profile_seconds: float = Field(default=4.0, ge=0, description="Time for measuring costs at start.")
    start_timeout_seconds: float = Field(
        default=120.0, gt=0, description="Time a worker has to load its models; then it is started again."
    )
    restart_backoff_seconds: float = Field(default=0.5, gt=0, description="First pause before a restart; doubles.")
    restart_backoff_max_seconds: float = Field(default=30.0, gt=0, description="Longest pause before a restart.")
    keepalive_seconds: float = Field(
        default=10.0, gt=0, description="A silent worker is asked for a sign of life, and has as long again to answer."
    )
    round_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Least time for a round before a worker counts as hung; longer where its profile says so.",
    )
    quarantine_seconds: float = Field(
        default=600.0, ge=0, description="Time for which the like of a request that workers died of is refused."
    )
    max_resumes: int = Field(default=3, ge=0, description="Workers that one request may lose before it fails.")
