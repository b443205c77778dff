"""Records ↔ protobuf, the only converter."""
