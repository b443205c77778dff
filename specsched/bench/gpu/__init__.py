"""Table 6: the engine at the shapes that GPUs serve."""
