"""Logging, metrics, acceptance records."""
