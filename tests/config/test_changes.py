"""What differs between two configurations, and what of it an operator is shown."""

from pydantic import Field

from specsched.config import changes as module
from specsched.config.changes import Change, as_yaml, changes, shown
from specsched.config.load import load_config
from specsched.config.sections.base import LIVE, RESTART, SECRET, Section
from specsched.config.tree import Config


class Inner(Section):
    """A section of a section."""

    token: str = Field(default="", json_schema_extra=SECRET)
    size: int = 1


class Outer(Section):
    """Marks on three levels."""

    inner: Inner = Field(default=Inner(), json_schema_extra=LIVE)
    fixed: int = Field(default=1, json_schema_extra=RESTART)
    plain: int = 1


def test_equal_configurations_differ_in_nothing():
    assert changes(Config(), Config()) == ()


def test_every_field_that_differs_is_named_with_both_values_and_whether_it_is_live():
    after = load_config(None, {}, {("policy", "gamma"): 5, ("server", "drain_seconds"): 1, ("log", "level"): "debug"})
    assert changes(Config(), after) == (
        Change("server.drain_seconds", "30.0", "1.0", live=False),
        Change("policy.gamma", "4", "5", live=True),
        Change("log.level", "info", "debug", live=True),
    )


def test_marks_are_inherited_and_secrets_never_told():
    before, after = Outer(), Outer(inner=Inner(token="hush", size=2), fixed=2, plain=2)
    found = tuple(module._changes(before, after, "", {}))
    assert [(change.field, change.live) for change in found] == [
        ("inner.token", True),
        ("inner.size", True),
        ("fixed", False),
        ("plain", False),
    ]
    assert "hush" not in str(found)
    assert module._shown(after, {}) == {"inner": {"size": 2}, "fixed": 2, "plain": 2}


def test_what_is_shown_can_be_read_again():
    config = load_config(None, {}, {("policy", "batch_table"): {1: 4, 8: 0}, ("workers", "addresses"): ["a:1"]})
    assert load_config(None, {}, None, as_yaml(shown(config))) == config


def test_policy_and_admission_are_live_and_what_processes_are_made_of_is_not():
    live = {name for name, field in Config.model_fields.items() if field.json_schema_extra == LIVE}
    assert {"policy", "admission"} <= live
    assert not live & {"server", "admin", "pool", "workers", "store"}
