"""Spans: one per request, with children for what happens to it."""
