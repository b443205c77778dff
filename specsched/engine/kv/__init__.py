"""Keys and values of rows of different lengths, behind one port: rectangles on a CPU, blocks on a GPU."""

from specsched.engine.kv.base import RaggedKV
from specsched.engine.kv.window import KVRow, Window

__all__ = ["KVRow", "RaggedKV", "Window"]
