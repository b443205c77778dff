"""The public gRPC surface: servicers, interceptors, lifecycle, health."""
