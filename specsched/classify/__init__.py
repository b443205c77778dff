"""Prompt → class probabilities."""
