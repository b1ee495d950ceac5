"""Files of the workspace through the channel: what a call does, and what hostile names and links cannot make it do."""

from __future__ import annotations

import os
import secrets
import socket
import stat
import unittest
from typing import Any

from channel_driver import Ended, Message, Peer
from session_case import SessionCase


class FilesCase(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.workspace = self.session.workspace
        for name in os.listdir(self.workspace):
            self.one("delete_file", path=name, recursive=True)

    def path(self, *parts: str) -> str:
        return os.path.join(self.workspace, *parts)

    def outside(self, *parts: str) -> str:
        return os.path.join(self.session.folder, *parts)

    def put(self, path: str, text: str = "") -> None:
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)

    def text(self, path: str) -> str:
        with open(self.path(path), encoding="utf-8") as file:
            return file.read()

    def open_files(self) -> Peer:
        token = secrets.token_hex(16)
        self.session.keeper.send(type="spawn_files", id="f", token=token)
        answer = self.session.keeper.receive_type("files_spawned")
        peer = self.session.accept(token)
        self.assertEqual((peer.hello["role"], peer.pid), ("files", answer["pid"]))
        return peer

    def one(self, request: str, **fields: Any) -> Message:
        """Make one call that one message answers."""
        peer = self.open_files()
        peer.send(type=request, **fields)
        answer = peer.receive()
        peer.close()
        return answer

    def code_of(self, request: str, **fields: Any) -> str:
        answer = self.one(request, **fields)
        self.assertEqual(answer["type"], "file_refused", answer)
        return str(answer["code"])

    def read(self, path: str, start: int = 0, end: int = 1 << 40) -> bytes:
        peer = self.open_files()
        peer.send(type="read_file", path=path)
        peer.receive_type("opened")
        peer.send(type="send", start=start, end=end)
        peer.send(type="list_files", path=".", recursive=False)
        peer.receive_type("listed")
        peer.close()
        return bytes(peer.blob)

    def write(self, path: str, content: bytes, **condition: Any) -> Message:
        peer = self.open_files()
        peer.send(type="write_file", path=path, folder=None, size=len(content), **condition)
        for start in range(0, len(content), 65536):
            peer.send_frame(b"B", content[start : start + 65536])
        peer.send_frame(b"B", b"")
        answer = peer.receive()
        if answer["type"] == "staged":
            peer.send(type="commit_files", folder=None, **condition)
            answer = peer.receive()
        peer.close()
        return answer


class Calls(FilesCase):
    def test_write_read_list_and_replace(self) -> None:
        content = os.urandom(1_000_000)
        answer = self.write("data/deep/one.bin", content)
        (written,) = answer["files"]
        self.assertEqual((written["path"], written["size"], written["is_new"]), ("data/deep/one.bin", 1_000_000, True))
        self.assertEqual(self.read("data/deep/one.bin"), content)
        self.assertEqual(self.read("data/../data/deep/one.bin", 10, 20), content[10:20])
        self.assertEqual(self.read(self.path("data/deep/one.bin"), 999_990), content[999_990:])
        listed = self.one("list_files", path="data", recursive=True)
        self.assertEqual(
            [(entry["path"], entry["type"], entry["size"]) for entry in listed["entries"]],
            [("data/deep", "directory", 0), ("data/deep/one.bin", "file", 1_000_000)],
        )
        self.assertEqual((listed["path"], listed["truncated"]), ("data", False))
        os.chmod(self.path("data/deep/one.bin"), 0o750)
        self.assertEqual(
            self.write("data/deep/one.bin", b"x", if_match=[written["etag"]])["code"], "precondition_failed"
        )
        (again,) = self.write("data/deep/one.bin", b"new", if_match="*")["files"]
        self.assertFalse(again["is_new"])
        self.assertNotEqual(again["etag"], written["etag"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path("data/deep/one.bin")).st_mode), 0o750)
        self.assertEqual(
            self.write("data/deep/one.bin", b"x", if_match=[written["etag"]])["code"], "precondition_failed"
        )
        self.assertEqual(self.write("data/deep/one.bin", b"x", if_none_match="*")["code"], "precondition_failed")
        self.assertEqual(self.write("missing", b"x", if_match="*")["code"], "precondition_failed")
        self.assertEqual(self.write("fresh", b"x", if_none_match="*")["files"][0]["size"], 1)
        self.assertEqual(self.read("data/deep/one.bin"), b"new")
        self.assertEqual(sorted(os.listdir(self.path("data/deep"))), ["one.bin"])

    def test_leave_nothing_of_a_write_whose_caller_goes_away(self) -> None:
        peer = self.open_files()
        peer.send(type="write_file", path="half", folder=None)
        peer.send_frame(b"B", b"x" * 100_000)
        peer.close()
        self.assertEqual(self.one("list_files", path=".", recursive=True)["entries"], [])
        self.assertEqual(os.listdir(self.workspace), [])

    def test_stage_many_files_and_put_them_into_a_folder_together(self) -> None:
        peer = self.open_files()
        for name in ("a.txt", "sub/b.txt"):
            peer.send(type="write_file", path=name, folder=None)
            peer.send_frame(b"B", name.encode())
            peer.send_frame(b"B", b"")
            peer.receive_type("staged")
        self.assertEqual(os.listdir(self.workspace), [])
        peer.send(type="commit_files", folder="up")
        answer = peer.receive_type("written")
        self.assertEqual([one["path"] for one in answer["files"]], ["up/a.txt", "up/sub/b.txt"])
        self.assertEqual(self.text("up/sub/b.txt"), "sub/b.txt")
        peer.close()

    def test_delete_move_and_make_folders(self) -> None:
        made = self.one("make_folder", path="a/b/c")
        self.assertEqual((made["entry"]["path"], made["entry"]["type"], made["is_new"]), ("a/b/c", "directory", True))
        self.assertFalse(self.one("make_folder", path="a/b/c")["is_new"])
        self.put("a/b/one", "1")
        self.assertEqual(self.code_of("make_folder", path="a/b/one"), "invalid_path")
        self.assertEqual(self.one("move_file", **{"from": "a/b/one", "to": "x/two"})["entry"]["path"], "x/two")
        self.assertEqual(self.text("x/two"), "1")
        self.assertEqual(self.code_of("move_file", **{"from": "nothing", "to": "y/z"}), "not_found")
        self.assertFalse(os.path.exists(self.path("y")))
        self.assertEqual(self.code_of("move_file", **{"from": "a", "to": "a/b/inside"}), "invalid_path")
        self.assertEqual(self.code_of("move_file", **{"from": "x/two", "to": "a"}), "invalid_path")
        self.assertEqual(self.code_of("move_file", **{"from": "x", "to": "a"}), "not_empty")
        self.assertEqual(self.code_of("delete_file", path="a", recursive=False), "not_empty")
        self.assertEqual(self.one("delete_file", path="a/b/c", recursive=False)["type"], "deleted")
        self.assertEqual(self.one("delete_file", path="a", recursive=True)["type"], "deleted")
        self.assertEqual(self.code_of("delete_file", path="a", recursive=True), "not_found")
        self.assertEqual(self.code_of("delete_file", path=".", recursive=True), "invalid_path")

    def test_list_in_the_order_of_the_paths(self) -> None:
        for path in ("b", "a/x", "a-b", "a.c", "a/b/c"):
            os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
            self.put(path)
        listed = self.one("list_files", path=".", recursive=True)
        self.assertEqual(
            [entry["path"] for entry in listed["entries"]], ["a", "a-b", "a.c", "a/b", "a/b/c", "a/x", "b"]
        )
        self.assertEqual(self.code_of("list_files", path="b", recursive=False), "invalid_path")
        self.assertEqual(self.code_of("list_files", path="c", recursive=False), "not_found")

    def test_report_what_changed(self) -> None:
        self.put("kept", "1")
        self.put("same-size", "1")
        self.put("gone", "1")
        peer = self.open_files()
        peer.send(type="watch_files")
        peer.receive_type("watching")
        self.put("same-size", "2")
        os.unlink(self.path("gone"))
        os.mkdir(self.path("folder"))
        self.put("folder/new", "123")
        peer.send(type="report_files")
        answer = peer.receive_type("changed")
        self.assertEqual(
            [(one["path"], one["change"], one["size"]) for one in answer["files"]],
            [("folder/new", "created", 3), ("gone", "deleted", 0), ("same-size", "modified", 1)],
        )
        for number in range(250):
            self.put(f"n{number}")
        peer.send(type="report_files")
        answer = peer.receive_type("changed")
        self.assertEqual((len(answer["files"]), answer["truncated"]), (200, True))
        peer.close()

    def test_work_while_code_runs_and_outlive_the_end_of_that_code(self) -> None:
        execution_id = self.session.start(
            "import time, os\nwhile not os.path.exists('go'): time.sleep(0.01)\nopen('go').read()"
        )
        peer = self.open_files()
        self.write("go", b"seen")
        self.assertEqual(self.session.finish(execution_id).value, "seen")
        self.session.restart()
        peer.send(type="list_files", path=".", recursive=False)
        self.assertEqual([entry["path"] for entry in peer.receive_type("listed")["entries"]], ["go"])
        peer.close()


class Hostile(FilesCase):
    def setUp(self) -> None:
        super().setUp()
        with open(self.outside("secret"), "w", encoding="utf-8") as secret:
            secret.write("secret")

    def test_refuse_paths_that_leave(self) -> None:
        for path in (
            "../secret",
            "a/../../secret",
            "/etc/passwd",
            self.outside("secret"),
            "a\0b",
            "..",
            self.workspace + "x",
        ):
            for request in ("read_file", "make_folder"):
                self.assertEqual(self.code_of(request, path=path), "invalid_path", path)
            self.assertEqual(self.code_of("list_files", path=path, recursive=False), "invalid_path", path)
            self.assertEqual(self.code_of("delete_file", path=path, recursive=True), "invalid_path", path)
            self.assertEqual(self.write(path, b"x")["code"], "invalid_path", path)
            self.assertEqual(self.code_of("move_file", **{"from": "a", "to": path}), "invalid_path", path)
        self.assertEqual(self.code_of("read_file", path="n" * 256), "invalid_path")

    def test_follow_no_link_to_the_outside(self) -> None:
        around = os.listdir(self.session.folder)
        os.symlink(self.outside("secret"), self.path("file"))
        os.symlink(self.session.folder, self.path("folder"))
        os.symlink("..", self.path("up"))
        os.symlink("loop", self.path("loop"))
        for path in ("file", "folder/secret", "up/secret", "loop"):
            self.assertEqual(self.code_of("read_file", path=path), "invalid_path", path)
        for path in ("folder", "up", "folder/workspace"):
            self.assertEqual(self.code_of("list_files", path=path, recursive=True), "invalid_path", path)
        for path in ("folder/new", "up/new"):
            self.assertEqual(self.write(path, b"x")["code"], "invalid_path", path)
            self.assertEqual(self.code_of("make_folder", path=path), "invalid_path", path)
            self.assertEqual(self.code_of("delete_file", path=path, recursive=True), "invalid_path", path)
        self.assertEqual(self.write("file", b"mine")["type"], "written")
        self.assertEqual(self.read("file"), b"mine")
        self.assertEqual(self.one("delete_file", path="folder", recursive=True)["type"], "deleted")
        with open(self.outside("secret"), encoding="utf-8") as secret:
            self.assertEqual(secret.read(), "secret")
        self.assertEqual(os.listdir(self.session.folder), around)

    def test_follow_links_that_stay_inside(self) -> None:
        os.makedirs(self.path("data/v2"))
        self.put("data/v2/file", "content")
        os.symlink("v2", self.path("data/latest"))
        os.symlink(self.path("data/latest/../v2/file"), self.path("absolute"))
        os.symlink("../data", self.path("data/back"))
        for path in ("data/latest/file", "absolute", "data/back/latest/file"):
            self.assertEqual(self.read(path), b"content", path)
        self.assertEqual(self.write("data/latest/other", b"x")["files"][0]["path"], "data/latest/other")
        self.assertEqual(self.text("data/v2/other"), "x")

    def test_wait_for_nothing_that_is_no_file(self) -> None:
        os.mkfifo(self.path("fifo"))
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(self.path("socket"))
        for path in ("fifo", "socket", ".", "fifo/below"):
            self.assertEqual(self.code_of("read_file", path=path), "invalid_path", path)
        kinds = {entry["path"]: entry["type"] for entry in self.one("list_files", path=".", recursive=True)["entries"]}
        self.assertEqual(kinds, {"fifo": "other", "socket": "other"})
        self.assertEqual(self.write("fifo", b"now a file")["type"], "written")
        self.assertEqual(self.read("fifo"), b"now a file")

    def test_take_any_name(self) -> None:
        for name in ("new\nline", "n" * 255, "ümläut", "sp ace", "-rf", "a\\b", "\u202e", "'\""):
            self.assertEqual(self.write(name, name.encode())["files"][0]["path"], name)
            self.assertEqual(self.read(name), name.encode())
            self.assertEqual(self.one("delete_file", path=name, recursive=False)["type"], "deleted")
        with open(os.path.join(self.workspace.encode(), b"\xff\xfe"), "wb"):
            pass
        listed = self.one("list_files", path=".", recursive=True)
        self.assertEqual([entry["path"] for entry in listed["entries"]], ["\ufffd\ufffd"])

    def test_write_only_inside_while_code_swaps_folders_for_links(self) -> None:
        outside = self.outside("target")
        os.mkdir(outside)
        self.addCleanup(os.rmdir, outside)
        code = f"""
import os, time
end = time.time() + 3
while time.time() < end and not os.path.exists('stop'):
    try:
        os.mkdir('swap')
        os.rename('swap', 'swapped')
        os.symlink({outside!r}, 'swap')
        os.unlink('swap')
    except OSError: pass
    try: os.rmdir('swapped')
    except OSError: pass
"""
        execution_id = self.session.start(code)
        answers = [self.write("swap/file", b"x" * 70_000)["type"] for _ in range(60)]
        self.put("stop")
        self.session.finish(execution_id)
        self.assertEqual(os.listdir(outside), [])
        self.assertLessEqual(set(answers), {"written", "file_refused"})

    def test_be_out_of_reach_of_user_code(self) -> None:
        peer = self.open_files()
        code = f"""
found = []
for name in ('mem', 'fd/0', 'environ', 'cwd'):
    try:
        open(f'/proc/{peer.pid}/' + name, 'rb').read(1)
        found.append(name)
    except OSError: pass
import os
found if os.getuid() else []
"""
        self.assertEqual(self.run_code(code).value, [])
        self.run_code(f"import os, signal; os.kill({peer.pid}, signal.SIGKILL)")
        with self.assertRaises(Ended):
            peer.receive()
        self.assertEqual(self.one("list_files", path=".", recursive=False)["type"], "listed")


if __name__ == "__main__":
    unittest.main()
