"""Typed Python client."""
