"""Prompts and completions that tenants agreed to have kept: opt-in, redacted, deleted in time."""
