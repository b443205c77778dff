"""Synthetic worlds with a known truth, in which policies decide and learn. numpy only: no model runs."""
