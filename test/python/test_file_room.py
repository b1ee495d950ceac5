"""The files of a session without a tmpfs: what counts, once and however it is hidden."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any

from pyrepl import file_room

MIB = 1 << 20


class FileRoom(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def is_within(self, keeper: int | None = None, **limits: int) -> bool:
        entry: Any = {"folder": self.folder, "max_bytes": 4 * MIB, "max_files": 10, **limits}
        return file_room.is_within(entry, keeper or os.getpid())

    def write(self, name: str, size: int) -> str:
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(bytes(size))
        return path

    def test_counts_bytes_at_the_limit_and_past_it(self) -> None:
        self.write("a/b/file", 4 * MIB - 64 * 1024)
        self.assertTrue(self.is_within())
        self.write("more", 128 * 1024)
        self.assertFalse(self.is_within())

    def test_counts_files_and_folders_at_the_limit_and_past_it(self) -> None:
        for number in range(9):
            self.write(f"folder/{number}", 0)
        self.assertTrue(self.is_within())
        os.mkdir(os.path.join(self.folder, "one-more"))
        self.assertFalse(self.is_within())

    def test_counts_a_hole_for_nothing_and_a_second_name_once(self) -> None:
        path = self.write("file", 3 * MIB)
        os.link(path, path + "-again")
        with open(os.path.join(self.folder, "hole"), "wb") as file:
            file.truncate(1 << 30)
        self.assertTrue(self.is_within())

    def test_does_not_follow_a_link_out_of_the_folder(self) -> None:
        os.symlink("/usr", os.path.join(self.folder, "link"))
        self.assertTrue(self.is_within())

    def test_counts_a_deleted_file_that_a_descendant_holds_open(self) -> None:
        code = "import os, sys; f = open(sys.argv[1], 'wb', 0); os.unlink(sys.argv[1]); f.write(bytes(5 << 20)); print('', flush=True); input()"
        path = os.path.join(self.folder, "deleted")
        with subprocess.Popen(
            [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            self.assertFalse(self.is_within())
            holder.communicate(b"\n")
        self.assertTrue(self.is_within())

    def test_allows_few_deleted_files_that_are_only_mapped(self) -> None:
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p

        def map_deleted(number: int) -> int:
            path = self.write(f"mapped-{number}", 4096)
            descriptor = os.open(path, os.O_RDWR)
            os.unlink(path)
            # Python's own mapping would keep a descriptor.
            found: int = libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
            os.close(descriptor)
            self.addCleanup(libc.munmap, ctypes.c_void_p(found), ctypes.c_size_t(4096))
            return found

        for number in range(16):
            map_deleted(number)
        self.assertTrue(self.is_within())
        map_deleted(16)
        self.assertFalse(self.is_within())

    def test_refuses_a_folder_that_cannot_be_listed(self) -> None:
        closed = os.path.join(self.folder, "closed")
        os.mkdir(closed, 0o300)
        if os.geteuid() != 0:
            self.assertFalse(self.is_within())
            return
        # Root lists every folder, so it looks as another user.
        for folder in (self.folder, closed):
            os.chown(folder, 65534, -1)
        os.seteuid(65534)
        try:
            self.assertFalse(self.is_within())
        finally:
            os.seteuid(0)

    def test_counts_a_very_deep_folder_as_too_much(self) -> None:
        top = os.open(self.folder, os.O_RDONLY)
        for _ in range(850):
            os.mkdir("d", dir_fd=top)
            below = os.open("d", os.O_RDONLY, dir_fd=top)
            os.close(top)
            top = below
        os.close(top)
        self.assertFalse(self.is_within(max_files=10_000))


if __name__ == "__main__":
    unittest.main()
