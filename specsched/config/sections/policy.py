"""`policy:` — how draft and gamma are chosen."""

from typing import Annotated, Literal

from pydantic import Field

from specsched.config.sections.base import Section

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
