"""A module per peer, run in the peer's own environment (`python runners NAME OPTIONS`); it imports nothing of ours."""
