"""Acceptance model, cost model, decision rules, round controller. numpy only."""
