"""Pauses of a process that serves: Python's collector stops all threads while it walks all objects."""

import gc

_YOUNG_OBJECTS = 5_000
"""Made and not freed between two small collections; most are gone by then, and cost nothing."""


def spare_what_is_loaded() -> None:
    """Have the collector leave alone what stands now. Call it once, when modules and models are loaded.

    A full collection walks every object: some 300,000 of a scheduler and 500,000 of a worker, of which none is ever
    garbage. It stops streams for a tenth of a second and more.
    """
    gc.collect()  # what is frozen is never freed
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
