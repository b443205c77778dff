"""The pool's manifest as a frozen tree: one target, its drafts, the classifier."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PLAIN = "none"

_Sha256 = Field(
    default=None,
    pattern=r"^[0-9a-f]{64}$",
    description="SHA-256 of model.safetensors or of the classifier's file, verified at load.",
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetEntry(_Section):
    """The model whose output is served."""

    id: str = Field(min_length=1, description="Name of the target in decisions, metrics and logs.")
    path: str = Field(min_length=1, description="Hugging Face model folder, relative to the manifest.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="Compute dtype.")
    quantization: Literal["none", "int8"] = Field(default="none", description="Quantization of the linear layers.")
    sha256: str | None = _Sha256


class DraftEntry(_Section):
    """One proposer."""

    id: str = Field(min_length=1, description="Name of the draft in decisions, metrics and logs; unique.")
    kind: Literal["model", "ngram", "none"] = Field(default="model", description="What proposes the tokens.")
    path: str | None = Field(default=None, description="Model folder, relative to the manifest; kind `model` only.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="Compute dtype.")
    quantization: Literal["none", "int8"] = Field(default="none", description="Quantization of the linear layers.")
    sha256: str | None = _Sha256
    copy_match_tokens: int = Field(
        default=0,
        ge=0,
        description="Kind `model`: where the last so many tokens stood before, copy what followed instead; 0: never.",
    )
    stop_below_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Kind `model`: draft no further once the product of the largest probabilities in the draft's laws "
        "is below this; 0: never.",
    )

    @model_validator(mode="after")
    def _path_fits_kind(self) -> Self:
        if (self.kind == "model") != (self.path is not None):
            raise ValueError(f"kind `{self.kind}` {'needs a' if self.kind == 'model' else 'takes no'} `path`")
        if (self.kind == "none") != (self.id == PLAIN):
            raise ValueError(f"the id `{PLAIN}` and the kind `none` belong together: plain decoding")
        if self.kind != "model" and (self.copy_match_tokens or self.stop_below_share):
            raise ValueError(f"kind `{self.kind}` takes neither `copy_match_tokens` nor `stop_below_share`")
        return self


class ClassifierEntry(_Section):
    """The prompt classifier's weights."""

    path: str = Field(min_length=1, description="Classifier file, relative to the manifest.")
    sha256: str | None = _Sha256


class PoolManifest(_Section):
    """pool.yaml."""

    target: TargetEntry = Field(description="The model whose output is served.")
    drafts: tuple[DraftEntry, ...] = Field(default=(), description="Proposers; plain decoding is always available.")
    classifier: ClassifierEntry | None = Field(default=None, description="The prompt classifier.")
    priors: str | None = Field(
        default=None,
        min_length=1,
        description="What a cold start believes of the drafts, relative to the manifest: a file of `replay priors` or "
        "`models evaluate --priors`. Of models that have changed since it says nothing.",
    )

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [self.target.id, *(draft.id for draft in self.drafts)]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"ids must be unique, given more than once: {', '.join(twice)}")
        return self


def parse_manifest(tree: Mapping[str, Any]) -> PoolManifest:
    """Validate a manifest's content.

    Raises:
        ValueError: the first violation, as `drafts.1.kind: what is wrong`.
    """
    try:
        return PoolManifest.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{field}: {message}" if field else message) from error
