"""Checkpoint blobs: the format, what goes in, and how it comes back. docs/checkpoint-format.md describes the bytes."""
