"""The exceptions: one class for each code of the contract, of the right kind."""

from __future__ import annotations

import re
import unittest

from pyrepl3.errors import ERROR_CLASSES, FailedError, RefusedError, error_of
from service import ROOT


def codes_of_the_contract() -> dict[str, int]:
    """Return each code of the contract's table, with its HTTP status."""
    text = (ROOT / "src/protocol/problem.ts").read_text()
    table = text[text.index("PROBLEMS = {") : text.index("} as const")]
    return {code: int(status) for code, status in re.findall(r"^ +(\w+): \{ status: (\d+),", table, re.MULTILINE)}


class ErrorsTest(unittest.TestCase):
    """The table of the package against the contract's."""

    def test_every_code_has_a_class_of_its_own_and_no_class_is_left_over(self) -> None:
        codes = codes_of_the_contract()
        self.assertGreater(len(codes), 20)
        self.assertEqual(set(ERROR_CLASSES), set(codes))
        self.assertEqual(len(set(ERROR_CLASSES.values())), len(codes))

    def test_a_class_says_whether_the_caller_or_the_service_is_wrong(self) -> None:
        for code, status in codes_of_the_contract().items():
            with self.subTest(code):
                error = error_of({"code": code, "status": status, "detail": "why", "retry_after": 2})
                self.assertIs(type(error), ERROR_CLASSES[code])
                self.assertIsInstance(error, FailedError if status >= 500 else RefusedError)
                self.assertEqual((error.code, error.status, error.retry_after), (code, status, 2))
                self.assertEqual(str(error), f"{code}: why")
