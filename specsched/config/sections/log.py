"""`log:` — logging."""

from typing import Literal

from pydantic import Field

from specsched.config.sections.base import LIVE, Section


class Log(Section):
    """Logging to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level.", json_schema_extra=LIVE
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, JSON elsewhere."
    )
