"""What the audit says of a call's message: plain fields by name. A configuration is told by its digest."""

import hashlib

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_LONGEST_CHARACTERS = 200
_DIGESTED = ("yaml",)
"""Long, and what passwords stand in."""

Argument = str | int | float | bool


def arguments_of(message: Message) -> dict[str, Argument]:
    """Return the fields that are set and are no messages, lists or maps."""
    return {
        field.name: _argument(field, value)
        for field, value in message.ListFields()
        if field.message_type is None and not field.is_repeated
    }


def _argument(field: FieldDescriptor, value: Argument) -> Argument:
    if field.name in _DIGESTED:
        return f"sha256 {hashlib.sha256(str(value).encode()).hexdigest()[:12]}"
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(int(value))
        return value if known is None else str(known.name)
    return value[:_LONGEST_CHARACTERS] if isinstance(value, str) else value
