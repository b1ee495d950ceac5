/** Owns the attacks on a client's calls on files: names, links and files that should lead the call out of the workspace, or make it wait. */
import assert from "node:assert/strict";
import type { FilesRequest } from "../../../worker-runner/channel/file-message.ts";
import { type FileProcess, FileRefused } from "../../../worker-runner/interpreter/file-process.ts";
import type { Session } from "../../../worker-runner/session/session.ts";
import { resultOf, run } from "../outcome.ts";
import type { Attack } from "./attack.ts";

/** Makes one call. @returns what `work` returns, or the code that the call was refused with. */
async function use<T>(session: Session, work: (process: FileProcess) => Promise<T>): Promise<T | string> {
  const process = await session.openFiles();
  try {
    return await work(process);
  } catch (error) {
    if (!(error instanceof FileRefused)) throw error;
    return error.code;
  } finally {
    process.close();
  }
}

async function contentOf(process: FileProcess, path: string): Promise<string> {
  const { size } = await process.ask({ type: "read_file", path }, "opened");
  process.send({ type: "send", start: 0, end: size });
  const pieces: Buffer[] = [];
  for (let piece = await process.nextPiece(); piece; piece = await process.nextPiece()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

const read = (session: Session, path: string) => use(session, (process) => contentOf(process, path));

const write = (session: Session, path: string, content: Buffer) =>
  use(session, async (process) => {
    process.send({ type: "write_file", path, folder: null });
    await process.sendContent(content);
    if (!process.hasSpoken) await process.endContent();
    await process.expect("staged");
    await process.ask({ type: "commit_files", folder: null }, "written");
    return "written";
  });

const list = (session: Session, path: string) =>
  use(session, async (process) => {
    const request: FilesRequest = { type: "list_files", path, recursive: true };
    return (await process.ask(request, "listed")).entries.map((entry) => entry.path);
  });

const remove = (session: Session, path: string) =>
  use(session, (process) => process.ask({ type: "delete_file", path, recursive: true }, "deleted"));

const LINKS = {
  passwd: "/etc/passwd",
  environment: "/proc/1/environ",
  root: "/",
  up: "..",
  outside: "/tmp/outside",
  selfRoot: "/proc/self/root",
  selfCwd: "/proc/self/cwd",
  descriptor: "/proc/self/fd/0",
  channel: "/run/pyrepl",
  loop: "loop",
};

export const fileAttacks: readonly Attack[] = [
  {
    name: "links lead no call out of the workspace",
    code: `
import os
os.mkdir('/tmp/outside')
open('/tmp/outside/witness', 'w').write('untouched')
for name, target in ${JSON.stringify(LINKS)}.items(): os.symlink(target, name)`,
    contained: async (_outcomes, session) => {
      for (const name of Object.keys(LINKS)) {
        assert.equal(await read(session, name), "invalid_path", name);
        assert.equal(await list(session, name), "invalid_path", name);
        assert.equal(await read(session, `${name}/etc/passwd`), "invalid_path", name);
        assert.equal(await write(session, `${name}/witness`, Buffer.from("x")), "invalid_path", name);
        assert.equal(await remove(session, `${name}/witness`), "invalid_path", name);
      }
      for (const path of ["/etc/passwd", "../tmp/outside/witness", "a/../../tmp/outside", "/workspace/../tmp"]) {
        assert.equal(await read(session, path), "invalid_path", path);
        assert.equal(await write(session, path, Buffer.from("x")), "invalid_path", path);
      }
      const names = Object.keys(LINKS).sort();
      assert.deepEqual(await list(session, "."), names, "links are listed and not followed");
      assert.equal(await write(session, "passwd", Buffer.from("mine")), "written");
      assert.equal(await read(session, "passwd"), "mine");
      for (const name of names) await remove(session, name);
      assert.equal(resultOf(await run(session, "open('/tmp/outside/witness').read()")), "untouched");
    },
  },
  {
    name: "a folder that becomes a link during an upload leads it nowhere",
    code: `
import os, threading
os.mkdir('/tmp/target')
def swap():
    while not os.path.exists('stop'):
        try:
            os.mkdir('swap')
            os.rename('swap', 'swapped')
            os.symlink('/tmp/target', 'swap')
            os.unlink('swap')
        except OSError: pass
        try: os.rmdir('swapped')
        except OSError: pass
swapping = threading.Thread(target=swap)
swapping.start()`,
    contained: async (_outcomes, session) => {
      const content = Buffer.alloc(200_000, "x");
      for (let tries = 0; tries < 40; tries += 1) {
        const outcome = await write(session, "swap/file", content);
        assert.ok(["written", "invalid_path", "not_found", "not_empty"].includes(outcome), outcome);
      }
      assert.equal(await write(session, "stop", Buffer.from("x")), "written");
      assert.deepEqual(resultOf(await run(session, "swapping.join()\nos.listdir('/tmp/target')")), []);
    },
  },
  {
    name: "what is no file makes no call wait",
    code: `
import os, socket
os.mkfifo('fifo')
try:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind('socket')
except PermissionError: os.mkfifo('socket')
os.mkdir('folder')
os.mkfifo('folder/fifo')
try: os.mknod('device', 0o600 | 0o020000, os.makedev(1, 5))
except OSError as error: refused = error.errno
refused`,
    contained: async ([outcome], session) => {
      // EPERM by the missing capability, EACCES by Landlock.
      assert.ok([1, 13].includes(Number(resultOf(outcome))));
      for (const path of ["fifo", "socket", "folder", "folder/fifo", "fifo/x"]) {
        assert.equal(await read(session, path), "invalid_path", path);
      }
      assert.deepEqual(await list(session, "."), ["fifo", "folder", "folder/fifo", "socket"]);
      assert.equal(await write(session, "fifo", Buffer.from("now a file")), "written");
      assert.equal(await read(session, "fifo"), "now a file");
      assert.equal(await write(session, "folder", Buffer.from("x")), "invalid_path");
    },
  },
];
