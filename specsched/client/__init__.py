"""Typed Python client: the public service for asyncio and for threads, the operators' in `specsched.client.admin`."""

from specsched.client.channel import Access
from specsched.client.client import Client
from specsched.client.retries import Retries
from specsched.client.sync import SyncClient

__all__ = ["Access", "Client", "Retries", "SyncClient"]
