"""Policies in worlds whose truth is known, against what could have been had. numpy only: no model runs."""
