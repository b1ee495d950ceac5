"""Files of the workspace by both Python clients, against the real service."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
import unittest

from pyrepl3 import AsyncClient, Client
from pyrepl3.errors import InvalidPathError, NotEmptyError, NotFoundError, PreconditionFailedError
from service import Service


class Files(unittest.TestCase):
    def test_both_ways_with_the_code_between(self) -> None:
        with Client(Service.shared().url) as client, tempfile.TemporaryDirectory() as folder:
            files = client.files
            written = files.write("notes/one.txt", "Hello")
            self.assertEqual((written.path, written.size), ("notes/one.txt", 5))
            outcome = client.run(
                "text = open('notes/one.txt').read()\nopen('back.txt', 'w').write(text * 2)", report_files=True
            )
            self.assertEqual([(one.path, one.change, one.size) for one in outcome.files], [("back.txt", "created", 10)])
            self.assertEqual(files.read("back.txt"), b"HelloHello")
            self.assertEqual(files.read("back.txt", start=3, size=4), b"loHe")
            content = os.urandom(3_000_000)
            self.assertEqual(files.write("large", io.BytesIO(content)).size, len(content))
            target = os.path.join(folder, "large")
            files.download("large", target)
            with open(target, "rb") as downloaded:
                self.assertEqual(downloaded.read(), content)
            self.assertEqual(files.upload(target, "again").size, len(content))
            self.assertEqual(
                [entry.path for entry in files.list(recursive=True).entries],
                ["again", "back.txt", "large", "notes", "notes/one.txt"],
            )
            self.assertEqual(files.write("notes/one.txt", "new", if_match=written.etag).size, 3)
            with self.assertRaises(PreconditionFailedError):
                files.write("notes/one.txt", "x", if_match=written.etag)
            with self.assertRaises(PreconditionFailedError):
                files.write("notes/one.txt", "x", must_be_new=True)
            self.assertEqual(files.move("back.txt", "a/b.txt").path, "a/b.txt")
            self.assertEqual(files.make_directory("c/d").type, "directory")
            with self.assertRaises(NotEmptyError):
                files.delete("a")
            files.delete("a", recursive=True)
            with self.assertRaises(NotFoundError):
                files.read("a/b.txt")
            with self.assertRaises(InvalidPathError):
                files.read("../outside")

    def test_asynchronously(self) -> None:
        async def use() -> None:
            async with AsyncClient(Service.shared().url) as client:
                _ = await client.files.write("one.txt", b"1")
                self.assertEqual(await client.files.read("one.txt"), b"1")
                self.assertEqual([one.path for one in (await client.files.list()).entries], ["one.txt"])
                await client.files.delete("one.txt")
                self.assertEqual((await client.files.list()).entries, [])

        asyncio.run(use())


if __name__ == "__main__":
    _ = unittest.main()
