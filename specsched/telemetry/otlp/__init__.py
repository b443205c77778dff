"""OTLP over gRPC: spans, metrics and acceptance records. Imported only where an endpoint is configured."""
