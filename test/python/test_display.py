"""Display: MIME bundles of values and of `display`, updates, and figures without set-up."""

from __future__ import annotations

import base64
import unittest

from needs import needs
from session_case import SessionCase


class Bundles(SessionCase):
    def test_of_results_come_beside_the_repr(self) -> None:
        last = self.run_code(
            "class H:\n    def _repr_html_(self): return '<b>x</b>'\n    def __repr__(self): return 'H!'\nH()"
        ).last
        self.assertEqual(last["mime"], {"text/html": "<b>x</b>", "text/plain": "H!"})
        self.assertEqual(last["repr"], "H!")
        self.assertNotIn("mime", self.run_code("5").last)
        self.assertNotIn("mime", self.run_code("H").last)

    def test_take_every_kind_of_method(self) -> None:
        code = (
            "class All:\n"
            "    def _repr_html_(self): return '<p>', {'isolated': True}\n"
            "    def _repr_markdown_(self): return '*m*'\n    def _repr_svg_(self): return '<svg/>'\n"
            "    def _repr_png_(self): return b'\\x89PNG'\n    def _repr_jpeg_(self): return None\n"
            "    def _repr_latex_(self): return '$x$'\n    def _repr_json_(self): return {'a': [1]}\n"
            "    def _repr_javascript_(self): raise ValueError\n"
            "    def _repr_mimebundle_(self, include=None, exclude=None): return {'text/x-own': 'own', 'text/html': '<own>'}\n"
            "display(All())"
        )
        mime = self.run_code(code).events[0]["mime"]
        self.assertEqual(mime["text/x-own"], "own")
        self.assertEqual(mime["text/html"], "<own>")
        self.assertEqual(base64.b64decode(mime["image/png"]), b"\x89PNG")
        self.assertEqual(mime["application/json"], '{"a": [1]}')
        self.assertEqual(
            set(mime),
            {
                "text/x-own",
                "text/html",
                "text/markdown",
                "image/svg+xml",
                "image/png",
                "text/latex",
                "application/json",
                "text/plain",
            },
        )

    def test_are_bounded(self) -> None:
        mime = self.run_code("class Big:\n    def _repr_html_(self): return 'x' * (9 * 10**6)\nBig()").last["mime"]
        self.assertNotIn("text/html", mime)
        self.assertIn("text/plain", mime)

    def test_survive_odd_objects(self) -> None:
        codes = (
            "class A:\n    def __getattr__(self, n): return lambda *a, **k: {1: object()}\nA()",
            "class A:\n    _repr_html_ = 5\nA()",
            "class A:\n    def _repr_mimebundle_(self, **k): return {'text/html': object(), 5: 'x'}, 7\nA()",
            "class A:\n    @property\n    def _repr_html_(self): raise SystemError\nA()",
            "import unittest.mock\nunittest.mock.MagicMock()",
        )
        for code in codes:
            self.assertEqual(self.run_code(code).last["type"], "result", code)


class Display(SessionCase):
    def test_shows_values_in_order_with_output(self) -> None:
        outcome = self.run_code("print('a'); display(1, 'two'); print('b')")
        self.assertEqual(outcome.kinds, ["output", "display", "display", "output", "result"])
        shown = [e.get("mime", {}).get("text/plain", e.get("data")) for e in outcome.events[:-1]]
        self.assertEqual("".join(shown), "a\n1'two'b\n")

    def test_can_be_updated(self) -> None:
        outcome = self.run_code(
            "h = display('x', display_id=True)\nh.update('y')\nupdate_display('z', display_id=h.display_id)"
        )
        first, second, third = outcome.events[:3]
        self.assertEqual(first["display_id"], second["display_id"])
        self.assertNotIn("update", first)
        self.assertTrue(second["update"] and third["update"])

    def test_takes_raw_bundles_and_metadata(self) -> None:
        event = self.run_code(
            "display({'image/png': b'abc', 'text/plain': 't'}, raw=True, metadata={'image/png': {'width': 5}})"
        ).events[0]
        self.assertEqual(event["mime"], {"image/png": "YWJj", "text/plain": "t"})
        self.assertEqual(event["metadata"], {"image/png": {"width": 5}})

    def test_does_not_show_in_the_namespace(self) -> None:
        self.assertEqual(self.run_code("'display' in globals(), callable(display)").value, [False, True])

    def test_says_nothing_between_executions(self) -> None:
        self.run_code(
            "import threading, time\ndef late():\n    time.sleep(0.1); display('late')\nt = threading.Thread(target=late); t.start()"
        )
        with self.assertRaises(TimeoutError):
            self.session.live.receive(0.3)
        self.assertEqual(len(self.run_code("t.join()").events), 1)


@needs("matplotlib")
class Figures(SessionCase):
    def test_are_shown_at_show_and_at_the_end(self) -> None:
        code = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show(); print('mid')\nplt.plot([3]); None"
        outcome = self.run_code(code)
        self.assertEqual(outcome.kinds, ["display", "output", "display", "result"])
        for event in (outcome.events[0], outcome.events[-2]):
            self.assertTrue(base64.b64decode(event["mime"]["image/png"]).startswith(b"\x89PNG"))
        self.assertEqual(len(self.run_code("plt.get_fignums()").value), 0)

    def test_obey_a_backend_that_user_code_chose(self) -> None:
        self.assertEqual(
            self.run_code(
                "import os; os.environ['MPLBACKEND'] = 'agg'\nimport matplotlib\nmatplotlib.get_backend()"
            ).value.lower(),
            "agg",
        )


if __name__ == "__main__":
    unittest.main()
