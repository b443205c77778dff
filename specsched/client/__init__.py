"""Typed Python client of the public service."""

from specsched.client.client import Client

__all__ = ["Client"]
