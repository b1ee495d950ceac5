"""`IPython.display` where IPython is not installed."""

from __future__ import annotations

import unittest

from session_case import SessionCase


class IPythonDisplay(SessionCase):
    def test_shows_each_kind_under_its_media_type(self) -> None:
        code = (
            "from IPython.display import display, HTML, Markdown, Image, JSON, SVG, Latex, Javascript\n"
            "display(HTML('<b>x</b>'), Markdown('*m*'), SVG('<svg/>'), Latex('$x$'), Javascript('1'), JSON({'a': [1]}),\n"
            "        Image(b'\\x89PNG..', width=5), Image(b'\\xff\\xd8..'), Image(url='http://h/<\"&.png', height=2))\n"
            "HTML('<i>')"
        )
        outcome = self.run_code(code)
        shown = [
            {name: text for name, text in event["mime"].items() if name != "text/plain"}
            for event in outcome.events[:-1]
        ]
        self.assertEqual(
            shown[:9],
            [
                {"text/html": "<b>x</b>"},
                {"text/markdown": "*m*"},
                {"image/svg+xml": "<svg/>"},
                {"text/latex": "$x$"},
                {"application/javascript": "1"},
                {"application/json": '{"a": [1]}'},
                {"image/png": "iVBORy4u"},
                {"image/jpeg": "/9guLg=="},
                {"text/html": '<img src="http://h/&lt;&quot;&amp;.png" height="2"/>'},
            ],
        )
        self.assertEqual(outcome.events[6]["metadata"], {"image/png": {"width": 5}})
        self.assertEqual(outcome.last["mime"]["text/html"], "<i>")

    def test_reads_files(self) -> None:
        code = (
            "from IPython.display import *\n"
            "open('a.gif', 'wb').write(b'GIF89a'); open('a.md', 'w').write('*ä*')\n"
            "display(Image('a.gif'), Markdown(filename='a.md'))"
        )
        events = self.run_code(code).events
        self.assertEqual(events[0]["mime"]["image/gif"], "R0lGODlh")
        self.assertEqual(events[1]["mime"]["text/markdown"], "*ä*")
        self.assertEqual(self.run_code("Image()").last["exception_type"], "ValueError")

    def test_clears_output_in_its_place_among_the_output(self) -> None:
        code = (
            "from IPython.display import clear_output\nprint('a')\nclear_output()\nprint('b')\nclear_output(wait=True)"
        )
        outcome = self.run_code(code)
        self.assertEqual(outcome.kinds, ["output", "clear_output", "output", "clear_output", "result"])
        first, second = (event for event in outcome.events if event["type"] == "clear_output")
        self.assertEqual((first["wait"], second["wait"]), (False, True))
        self.assertEqual(first["execution_id"], second["execution_id"])

    def test_updates_by_handle(self) -> None:
        code = (
            "from IPython.display import DisplayHandle, display, update_display\n"
            "handle = DisplayHandle()\nhandle.display(1)\nhandle.update(2)\nupdate_display(3, display_id=handle.display_id)\n"
            "handle.display_id"
        )
        outcome = self.run_code(code)
        shown = [event for event in outcome.events if event["type"] == "display"]
        self.assertEqual([event["mime"]["text/plain"] for event in shown], ["1", "2", "3"])
        self.assertEqual({event["display_id"] for event in shown}, {outcome.value})
        self.assertEqual([event.get("update", False) for event in shown], [False, True, True])

    def test_gives_way_to_an_ipython_of_the_session(self) -> None:
        code = (
            "import os\nos.mkdir('IPython')\nopen('IPython/__init__.py', 'w').write('own = 1')\n"
            "import IPython\nIPython.own"
        )
        self.assertEqual(self.run_code(code).value, 1)
        self.assertEqual(self.run_code("import IPython.display").last["exception_type"], "ModuleNotFoundError")
        # The tests of a class share the workspace.
        self.run_code("import shutil\nshutil.rmtree('IPython')")

    def test_shows_by_the_functions_of_an_installed_ipython(self) -> None:
        # The parts of IPython 8 that matter here, at the places where it has them.
        functions = (
            "def publish_display_data(data, metadata=None, source='', *, transient=None, **options): print('no shell')\n"
            "def display(*values, **options): print(*values)\n"
            "def update_display(value, *, display_id, **options): print(value)\n"
            "def clear_output(wait=False): print('no shell')\n"
            "class HTML:\n    def __init__(self, data): self.data = data\n    def _repr_html_(self): return self.data\n"
        )
        self.run_code(
            f"import os\nos.makedirs('IPython/core')\nopen('IPython/core/display_functions.py', 'w').write({functions!r})\n"
            "open('IPython/display.py', 'w').write('from IPython.core.display_functions import *')\n"
            "open('IPython/__init__.py', 'w').close(); open('IPython/core/__init__.py', 'w').close()"
        )
        outcome = self.run_code(
            "from IPython.display import *\nhandle = display(HTML('<b>'), display_id='a')\nupdate_display(2, display_id='a')\n"
            "clear_output(wait=True)\npublish_display_data({'text/html': '<i>'}, transient={'display_id': 'a'}, update=True)\n"
            "display({'text/html': '<p>'}, raw=True, clear=True, include=None)\nhandle.display_id"
        )
        self.assertEqual(outcome.value, "a")
        shown = [
            (event["type"], event.get("mime", {}).get("text/html"), event.get("display_id"), event.get("update", False))
            for event in outcome.events[:-1]
        ]
        self.assertEqual(
            shown,
            [
                ("display", "<b>", "a", False),
                ("display", None, "a", True),
                ("clear_output", None, None, False),
                ("display", "<i>", "a", True),
                ("clear_output", None, None, False),
                ("display", "<p>", None, False),
            ],
        )
        self.run_code("import shutil\nshutil.rmtree('IPython')")

    def test_counts_as_user_code_in_a_traceback(self) -> None:
        traceback = self.run_code("from IPython.display import Image\nImage()").last["traceback"]
        self.assertIn("Image needs data, url or filename", traceback)

    def test_says_that_no_shell_runs(self) -> None:
        self.assertIs(self.run_code("import IPython\nIPython.get_ipython() is None").value, True)
        self.assertEqual(self.run_code("import IPython.core").last["exception_type"], "ModuleNotFoundError")


if __name__ == "__main__":
    unittest.main()
