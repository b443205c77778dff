"""Policies on paths that were recorded once, exact in law. numpy only: no model runs."""
