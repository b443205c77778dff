"""The engine's speed: contenders in all their modes, side by side in one run (BENCHMARKS.md, table 1)."""
