"""What the target computes are numbers: NaN or infinite logits would be drawn from as if they were a law."""


class UnsoundTarget(RuntimeError):
    """The target computed no numbers: of a prompt that leads it there, or of damaged weights. Ends the worker."""
