"""The manifest: target, drafts, compatibility."""
