"""Labelled prompts → weights: logistic regression over hashed features, calibrated on unseen sources.

Guards against templates that give the class away: variants of every prompt (`augment`), wordings of our own
(`phrasebook`), and equal weight for each source of a class, whatever its size.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from specsched.classify.augment import ambiguous, augmented
from specsched.classify.evaluate import Predictions
from specsched.classify.examples import Example, ExampleError
from specsched.classify.held_out import HeldOut, hold_out, sources_of, temperature
from specsched.classify.linear import law
from specsched.classify.phrasebook import Materials, Phrasebook
from specsched.classify.table import Fit, Rows, Table
from specsched.classify.weights import Weights

DRAWN_PER_CLASS = 3_000
FOLDS = 4
AMBIGUOUS_EVERY = 40

Progress = Callable[[str], None]


def train(examples: Sequence[Example], seed: int = 0, drawn_per_class: int = DRAWN_PER_CLASS) -> Weights:
    """Fit weights and the temperature of their softmax. Equal seeds give equal weights.

    Raises:
        ExampleError: fewer than two classes.
    """
    table, given = _tabulate(_spread(examples), seed, drawn_per_class)
    fit = Fit.to(table, seed)
    sources = sources_of(table, given)
    folds = [sources[fold::FOLDS] for fold in range(FOLDS)]
    warmth = temperature(list(hold_out(table, folds, np.ones_like(given), seed)))
    trained_on = tuple(sorted({example.source for example in examples}))
    return Weights(table.classes, fit.coefficients, fit.intercepts, warmth, trained_on)


def leave_one_out(
    examples: Sequence[Example], seed: int = 0, drawn_per_class: int = DRAWN_PER_CLASS, say: Progress = lambda _: None
) -> Predictions:
    """Predict each source by weights, and by a temperature, that never saw it.

    Raises:
        ExampleError: fewer than two classes.
    """
    table, given = _tabulate(_spread(examples), seed, drawn_per_class)
    held_out: list[HeldOut] = []
    for source in sources_of(table, given):
        say(f"training without {source}")
        held_out += hold_out(table, [[source]], given, seed)
    laws = [law(one.logits, temperature([o for o in held_out if o is not one] or [one])) for one in held_out]
    return Predictions(
        table.classes,
        np.concatenate(laws),
        np.concatenate([one.table.labels for one in held_out]),
        np.concatenate([one.table.sources for one in held_out]),
    )


def _spread(examples: Sequence[Example]) -> Sequence[Example]:
    """A lone source taken for several, so that something can be held out."""
    if len({example.source for example in examples}) > 1:
        return examples
    return [replace(example, source=f"{example.source}, part {i % FOLDS}") for i, example in enumerate(examples)]


def _tabulate(examples: Sequence[Example], seed: int, drawn_per_class: int) -> tuple[Table, Rows]:
    """Examples, wordings of our own and a variant of each as numbers; and which rows the examples are."""
    classes = {example.prompt_class for example in examples}
    if len(classes) < 2:
        raise ExampleError(f"a classifier tells at least two classes apart, not {', '.join(classes) or 'none'}")
    rng = random.Random(seed)
    drawn = Phrasebook.load().draw(drawn_per_class, Materials.of(examples), rng, classes)
    plain = [*examples, *drawn]
    # Doubt is taught by our own wordings alone, so that no source shows in another.
    own = {example.prompt_class for example in drawn} == classes
    unsure = ambiguous(drawn, drawn_per_class // AMBIGUOUS_EVERY, rng) if own else []
    table = Table.of([*plain, *augmented(plain, rng), *unsure])
    return table, np.arange(len(table.labels)) < len(examples)
