"""Where acceptance records go: files, OTLP, subscribers."""
