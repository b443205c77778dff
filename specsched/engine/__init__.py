"""The draft-verify loop: propose → verify → accept → commit."""
