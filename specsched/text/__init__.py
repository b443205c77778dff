"""Tokenizers, templates, stop strings; no torch."""
