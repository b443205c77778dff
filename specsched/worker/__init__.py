"""The worker process: the gRPC surface of an engine, and its engine thread."""
