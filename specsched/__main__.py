"""`python -m specsched`."""

from specsched.cli.main import run

if __name__ == "__main__":
    run()
