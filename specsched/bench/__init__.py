"""Replay, simulation, load generation, peer comparison (offline)."""
