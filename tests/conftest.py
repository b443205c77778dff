"""Shared by all tests: one compute thread, passive waits, no port in common."""

import os

from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("SPECSCHED__ADMIN__ADDRESS", "127.0.0.1:0")  # services of several tests at a time

settings.register_profile("shared_machine", deadline=None)  # a test's time limit is pytest's; examples have none
settings.load_profile("shared_machine")
