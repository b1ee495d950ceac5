"""Long containers are pickled without marks between their entries: they load as they were, and an entry that comes or goes moves the rest."""

from __future__ import annotations

import io
import pickle
import pickletools
import random
import unittest
from typing import Any

from pyrepl.checkpoint.pickle_writer import PickleWriter


def _dump(*values: Any) -> bytes:
    """Pickle values one after another, as a section holds them."""
    file = io.BytesIO()
    writer = PickleWriter(lambda output: pickle.Pickler(output, protocol=5), file.write)
    for value in values:
        writer.write(value)
    return file.getvalue()


def _load(content: bytes, count: int = 1) -> list[Any]:
    unpickler = pickle.Unpickler(io.BytesIO(content))
    return [unpickler.load() for _ in range(count)]


class Thing:
    """Refers to what holds it."""

    def __init__(self, holder: Any) -> None:
        self.holder = holder


class Broken:
    """Cannot be pickled."""

    def __reduce__(self) -> Any:
        raise ValueError("no")


class LongContainers(unittest.TestCase):
    def test_values_come_back_and_stay_as_they_were(self) -> None:
        generator = random.Random(2)
        texts = [str(generator.random()) for _ in range(5_000)]
        large = [b"x" * 70_000, *range(1_001)]
        values: list[Any] = [
            [],
            list(range(1_000)),
            list(range(1_001)),
            texts,
            [*texts, b"y" * 65_536],
            large,
            {text: at for at, text in enumerate(texts)},
            set(texts),
            frozenset(texts),
            tuple(texts),
            {"a": texts, "b": [large, {"deep": (texts, set(texts))}], "c": {}},
            [[at, texts] for at in range(2_000)],
        ]
        copies = pickle.loads(pickle.dumps(values))
        for value, copy in zip(values, copies, strict=True):
            (loaded,) = _load(_dump(value))
            self.assertEqual(loaded, copy)
            self.assertEqual(value, copy)
            if isinstance(value, dict):
                self.assertEqual(list(loaded), list(copy))
        self.assertEqual(_load(_dump(*values), len(values)), copies)

    def test_what_is_shared_stays_shared(self) -> None:
        rows: list[Any] = list(range(2_000))
        rows.append(rows)
        rows.append(Thing(rows))
        by_name: dict[str, Any] = {str(at): at for at in range(2_000)}
        by_name["self"] = by_name
        frame = {"one": rows, "two": by_name, "rows": [rows]}
        rows.append(frame)
        one, two, three, four = _load(_dump(frame, rows, by_name, rows), 4)
        self.assertIs(one["one"], two)
        self.assertIs(two, four)
        self.assertIs(one["rows"][0], two)
        self.assertIs(one["two"], three)
        self.assertIs(three["self"], three)
        self.assertIs(two[2_000], two)
        self.assertIs(two[2_001].holder, two)
        self.assertIs(two[2_002], one)

    def test_there_is_one_mark_for_all_entries(self) -> None:
        for value in (list(range(10_000)), dict.fromkeys(range(10_000)), set(range(10_000))):
            names = [opcode.name for opcode, _, _ in pickletools.genops(_dump(value))]
            self.assertEqual(names.count("MARK"), 1, names[:5])

    def test_an_entry_that_comes_or_goes_changes_nothing_far_from_it(self) -> None:
        numbers = list(range(10**6, 10**6 + 100_000))
        mapping = dict.fromkeys(map(str, numbers), 1)
        table: dict[str, Any] = {"a": list(numbers), "b": mapping}
        before = _dump(numbers), _dump(mapping), _dump(table)
        numbers.insert(0, 5)
        del mapping["1000005"]
        table["a"].pop(3)
        for old, new in zip(before, (_dump(numbers), _dump(mapping), _dump(table)), strict=True):
            self.assertEqual(old[-len(old) // 3 :], new[-len(old) // 3 :])

    def test_a_value_that_fails_is_whole_afterwards(self) -> None:
        rows: list[Any] = [Broken(), *range(2_000)]
        with self.assertRaisesRegex(ValueError, "no"):
            _dump(rows)
        self.assertEqual(len(rows), 2_001)


if __name__ == "__main__":
    unittest.main()
