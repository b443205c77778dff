"""Rounds as a GPU wants them: static buffers, captured forwards, draws on the device, one read by the host.

Everything here computes on a CPU too, which is how it is tested. It has never run on a GPU yet.
"""
