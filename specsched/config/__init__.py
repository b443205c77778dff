"""The pydantic tree and how it is loaded."""
