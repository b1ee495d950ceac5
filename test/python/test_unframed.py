"""Pickles without marks of frames: they load as they were, and an object that changes its size changes nothing far from it."""

from __future__ import annotations

import io
import pickle
import random
import unittest
from typing import Any

from pyrepl.checkpoint.blob_reader import ChunkReader
from pyrepl.checkpoint.unframed import Unframed


def _dump(*values: Any) -> bytes:
    """Pickle values one after another, as a section holds them."""
    file = io.BytesIO()
    unframed = Unframed(file.write)
    pickler = pickle.Pickler(unframed, protocol=5)
    for value in values:
        unframed.begin()
        pickler.dump(value)
    return file.getvalue()


def _load(content: bytes, count: int) -> list[Any]:
    half = len(content) // 2
    unpickler = pickle.Unpickler(ChunkReader([memoryview(content)[:half], memoryview(content)[half:]]))
    return [unpickler.load() for _ in range(count)]


class UnframedPickles(unittest.TestCase):
    def test_values_of_all_sizes_come_back(self) -> None:
        generator = random.Random(1)
        texts = [str(generator.random()) for _ in range(50_000)]
        looks_framed = pickle.dumps(texts, protocol=5)
        large = [b"x" * size for size in (65_535, 65_536, 1 << 20)]
        values = [1, texts, {"a": texts}, looks_framed, looks_framed[2:], bytearray(looks_framed), large, "é" * 70_000]
        for value in (*values, values):
            self.assertEqual(_load(_dump(value), 1), [value])
        first, second = _load(_dump(texts, {"shared": texts}), 2)
        self.assertIs(second["shared"], first)

    def test_there_are_no_marks_of_frames(self) -> None:
        texts = [str(at) for at in range(100_000)]
        self.assertLess(len(_dump(texts)), len(pickle.dumps(texts, protocol=5)) - 9 * 8)

    def test_an_object_that_grows_moves_what_follows_and_changes_nothing_in_it(self) -> None:
        texts = [f"text {at}" for at in range(100_000)]
        before = _dump(texts)
        texts[10] = "a longer text than it was"
        after = _dump(texts)
        self.assertEqual(before[-len(before) // 2 :], after[-len(before) // 2 :])


if __name__ == "__main__":
    unittest.main()
