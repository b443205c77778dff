"""The operators' service: records ↔ protobuf."""

from google.protobuf.message import Message

from specsched.config.changes import Change, ConfigVersion
from specsched.policy.table import ArmCell
from specsched.records import Beta
from specsched.v1 import admin_pb2, common_pb2

STATES = {
    "active": admin_pb2.DRAFT_STATE_ACTIVE,
    "draining": admin_pb2.DRAFT_STATE_DRAINING,
    "disabled": admin_pb2.DRAFT_STATE_DISABLED,
}
"""A draft's state by its name."""


def state_name(state: int) -> str | None:
    """Name of a draft's state; None where it has none."""
    return next((name for name, value in STATES.items() if value == state), None)


def given(message: Message, field: str) -> str | None:
    """An optional text; None where it is unset."""
    return getattr(message, field) if message.HasField(field) else None


def change_to_proto(change: Change) -> admin_pb2.ConfigChange:
    """Convert a field that changed."""
    return admin_pb2.ConfigChange(field=change.field, before=change.before, after=change.after)


def change_from_proto(message: admin_pb2.ConfigChange) -> Change:
    """Convert it back."""
    return Change(message.field, message.before, message.after)


def version_to_proto(version: ConfigVersion) -> admin_pb2.ConfigVersion:
    """Convert a configuration's place in history."""
    return admin_pb2.ConfigVersion(
        config_sha=version.config_sha, origin=version.origin, age_seconds=version.age_seconds
    )


def version_from_proto(message: admin_pb2.ConfigVersion) -> ConfigVersion:
    """Convert it back."""
    return ConfigVersion(message.config_sha, message.origin, message.age_seconds)


def cell_to_proto(cell: ArmCell) -> admin_pb2.PolicyCell:
    """Convert a row of the table of arms."""
    return admin_pb2.PolicyCell(
        prompt_class=cell.prompt_class,
        draft_model=cell.draft_model,
        mode=cell.mode,
        hazards=[common_pb2.Beta(a=beta.a, b=beta.b) for beta in cell.hazards],
        rounds=cell.rounds,
        goodput_tokens_per_second=cell.goodput_tokens_per_second,
        traffic_share=cell.traffic_share,
    )


def cell_from_proto(message: admin_pb2.PolicyCell) -> ArmCell:
    """Convert it back."""
    return ArmCell(
        prompt_class=message.prompt_class,
        draft_model=message.draft_model,
        mode=message.mode,
        hazards=tuple(Beta(beta.a, beta.b) for beta in message.hazards),
        rounds=message.rounds,
        goodput_tokens_per_second=message.goodput_tokens_per_second,
        traffic_share=message.traffic_share,
    )
