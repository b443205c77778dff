"""Learned state as JSON: what was written is read, and what is wrong is told by cell and field."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.policy.exchange import cells_from_json, cells_to_json
from specsched.policy.memory import Cell

CELL = Cell(
    sampled=False,
    coupled=True,
    draft_model="small",
    draft_version="v",
    prompt_class="code",
    position=1,
    accepted=3.5,
    rejected=0.0,
)
MASS = st.floats(0, 1e12)
CELLS = st.builds(
    Cell,
    st.booleans(),
    st.booleans(),
    st.text(),
    st.text(),
    st.text(),
    st.integers(1, 64),
    accepted=MASS,
    rejected=MASS,
)


@given(st.lists(CELLS, max_size=5))
def test_what_was_written_is_read(cells):
    assert cells_from_json(cells_to_json(cells)) == tuple(cells)


def altered(**fields):
    tree = json.loads(cells_to_json([CELL, CELL]))
    tree["cells"][1].update(fields)
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no export of a policy"),
        ('{"format": "specsched-policy", "version": 9}', "version 9 is not known"),
        ('{"format": "specsched-policy", "version": 1, "cells": {}}', "cells: expected a list"),
        (altered(position=0), r"cells\[1\].position: 0 is below 1"),
        (altered(position=True), r"cells\[1\].position: True is no int"),
        (altered(accepted="many"), r"cells\[1\].accepted: 'many' is no float"),
        (altered(accepted=-1), r"cells\[1\].accepted: -1 is no count"),
        (altered(rejected=float("nan")), r"cells\[1\].rejected: nan is no count"),
        (altered(more=1), r"cells\[1\]: expected the fields"),
    ],
)
def test_what_is_wrong_is_told(text, told):
    with pytest.raises(ValueError, match=told):
        cells_from_json(text)


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda t: st.lists(t) | st.dictionaries(st.text(), t)
    )
)
def test_any_json_is_read_or_refused(tree):
    for text in (json.dumps(tree), json.dumps({"format": "specsched-policy", "version": 1, "cells": tree})):
        try:
            cells_from_json(text)
        except ValueError:
            continue
