"""What all sections share: the base class, and the marks that a field may carry.

Marks stand in `json_schema_extra`, on a field of a section or on the section's own field in the tree, for all of it:
`LIVE` takes effect by a reload, `RESTART` (what is not marked) only when the service starts, `SECRET` is never shown.
"""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

LIVE: dict[str, Any] = {"reload": "live"}
RESTART: dict[str, Any] = {"reload": "restart"}
SECRET: dict[str, Any] = {"secret": True}


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, numbers finite, and no flag taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes` and `on` as flags, and Python takes a flag for 0 or 1."""
        assert info.field_name is not None, "validates fields"
        if _has_flag(value) and not _takes_flag(cls.model_fields[info.field_name].annotation):
            raise PydanticCustomError("flag", "Input should not be yes or no")
        return value


def _has_flag(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_flag, (*value.keys(), *value.values())))
    if isinstance(value, list | tuple):
        return any(map(_has_flag, value))
    return isinstance(value, bool)


def _takes_flag(annotation: Any) -> bool:
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)  # it looks for itself
    return annotation in (bool, Any) or is_section or any(map(_takes_flag, get_args(annotation)))
