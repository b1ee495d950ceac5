"""Checkpoint blobs: writing and loading them. docs/checkpoint-format.md describes the bytes."""
