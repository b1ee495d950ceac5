/** Owns the attacks through checkpoints: code in them, damage to them, and files that are not what they seem. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CheckpointId } from "../../../src/protocol/identity.ts";
import type { Session } from "../../../worker-runner/session/session.ts";
import { SessionError } from "../../../worker-runner/session/session-error.ts";
import { forgeCheckpoint, type Section } from "../forged-checkpoint.ts";
import { isMeasured } from "../grade.ts";
import { printedBy, resultOf, run } from "../outcome.ts";
import type { Attack } from "./attack.ts";

const FOREIGN = "cp-forged" as CheckpointId;
const WITNESS = "/tmp/pyrepl3-attack-witness";

/** Hands a session a blob that is not its own. @returns what it answers, or the code that it refuses with. */
async function restoreForeign(session: Session, blob: Buffer) {
  const directory = mkdtempSync(join(tmpdir(), "forged-"));
  const blobPath = join(directory, "blob");
  writeFileSync(blobPath, blob);
  try {
    return await session.restore(FOREIGN, { blobPath });
  } catch (error) {
    assert.ok(error instanceof SessionError, `${error}`);
    return error.code;
  } finally {
    session.dropCheckpoint(FOREIGN);
    rmSync(directory, { recursive: true });
  }
}

async function pythonName(session: Session): Promise<string> {
  const name = "import sys; f'{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}'";
  return String(resultOf(await run(session, name)));
}

async function restoreSections(session: Session, sections: readonly Section[]) {
  return restoreForeign(session, forgeCheckpoint(await pythonName(session), sections));
}

/** The session goes on with a name that `assertRight` looks for, after a restore that went through. */
async function plantCanary(session: Session): Promise<void> {
  await run(session, "canary = 40");
}

const noCode = "pass";

export const checkpointAttacks: readonly Attack[] = [
  {
    name: "code in a pickle runs inside the sandbox or nowhere",
    code: `
class Trap:
    def __reduce__(self):
        return exec, ("import os; open('${WITNESS}', 'w').write(f'{os.getuid()} {os.getpid()}')",)
trap = Trap()`,
    async contained(_outcomes, session) {
      const { checkpointId, blobPath, skipped } = await session.checkpoint();
      assert.deepEqual(skipped, []);
      assert.deepEqual(await restoreForeign(session, readFileSync(blobPath)), { source: "stored", missing: [] });
      session.dropCheckpoint(checkpointId);
      assert.equal(existsSync(WITNESS), false);
      assert.match(printedBy(await run(session, `print(open(${JSON.stringify(WITNESS)}).read())`)), /^\d+ \d+\n$/);
      await plantCanary(session);
    },
    lesser: [
      {
        applies: isMeasured,
        because: "/tmp is the host's and closed",
        async contained(_outcomes, session) {
          const { checkpointId, blobPath } = await session.checkpoint();
          assert.notEqual(typeof (await restoreForeign(session, readFileSync(blobPath))), "string");
          session.dropCheckpoint(checkpointId);
          assert.equal(existsSync(WITNESS), false);
          await plantCanary(session);
        },
      },
    ],
  },
  {
    name: "a checkpoint with one bit flipped, wherever, is refused, and the state stays",
    code: "treasure = list(range(1000))",
    async contained(_outcomes, session) {
      const { checkpointId, blobPath } = await session.checkpoint();
      const blob = readFileSync(blobPath);
      session.dropCheckpoint(checkpointId);
      for (const at of [0, 25, blob.length >> 1, blob.length - 40, blob.length - 1]) {
        const flipped = Buffer.from(blob);
        flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
        assert.equal(await restoreForeign(session, flipped), "checkpoint_invalid", `byte ${at}`);
      }
      assert.equal(resultOf(await run(session, "sum(treasure)")), 499_500);
    },
  },
  {
    name: "a checkpoint cut short, empty or made of noise is refused",
    code: noCode,
    async contained(_outcomes, session) {
      const whole = forgeCheckpoint(await pythonName(session), []);
      for (const blob of [Buffer.alloc(0), whole.subarray(0, -1), Buffer.alloc(100_000, 7), Buffer.alloc(300_000)]) {
        assert.equal(await restoreForeign(session, blob), "checkpoint_invalid");
      }
    },
  },
  {
    name: "a checkpoint that lies about its lengths, its version or its own shape is refused",
    code: noCode,
    async contained(_outcomes, session) {
      const content = Buffer.from("x");
      const lies: Section[] = [
        { kind: "P", meta: { names: ["a"] }, content, announcedBytes: 0xfffffff0 },
        { kind: "P", meta: [], content },
        { kind: "?" as "P", meta: {}, content, announcedBytes: 5_000 },
      ];
      for (const lie of lies) assert.equal(await restoreSections(session, [lie]), "checkpoint_invalid");
      assert.equal(await restoreForeign(session, forgeCheckpoint("cpython-2.7", [])), "checkpoint_invalid");
    },
  },
  {
    name: "a bomb that unfolds to more than the memory costs the restore and not the state",
    code: "treasure = 7",
    async contained(_outcomes, session) {
      const fill = Buffer.from("cbuiltins\nbytearray\n(I1000000000\ntR.");
      const answer = await restoreSections(session, [{ kind: "P", meta: { names: ["bomb"] }, content: fill }]);
      if (typeof answer === "string") {
        assert.equal(answer, "checkpoint_invalid");
        assert.equal(resultOf(await run(session, "treasure")), 7);
      } else {
        assert.deepEqual(
          answer.missing.map(({ name }) => name),
          ["bomb"],
        );
        await plantCanary(session);
      }
    },
  },
  {
    name: "a pickle that ends, forks or kills where it is loaded costs the restore and not the state",
    code: "treasure = 7",
    async contained(_outcomes, session) {
      for (const last of ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.fork()", "os.abort()"]) {
        const content = Buffer.from(`cbuiltins\nexec\n(Vimport os; ${last}\ntR.`);
        await restoreSections(session, [{ kind: "P", meta: { names: ["bomb"] }, content }]);
        assert.equal(resultOf(await run(session, "1 + 1")), 2, last);
      }
      await plantCanary(session);
    },
  },
  {
    name: "files whose paths lead out of the workspace are left out, and nothing outside is written",
    code: noCode,
    async contained(_outcomes, session) {
      const paths = ["../../tmp/out", "/tmp/out", "a/../../tmp/out", "..", "", "a\0b", "a//b", "./a"];
      const content = Buffer.from("planted");
      const answer = await restoreSections(
        session,
        paths.map((path) => ({ kind: "F", meta: { path, type: "file", mode: 0o6777 }, content })),
      );
      assert.ok(typeof answer === "object", `${answer}`);
      assert.equal(answer.missing.length, paths.length);
      assert.equal(existsSync("/tmp/out"), false);
      await plantCanary(session);
    },
  },
  {
    name: "a planted link that a later file goes through ends inside the sandbox",
    code: noCode,
    async contained(_outcomes, session) {
      await restoreSections(session, [
        { kind: "F", meta: { path: "link", type: "link", target: "/tmp" }, content: Buffer.alloc(0) },
        { kind: "F", meta: { path: "link/pyrepl3-attack-witness", type: "file" }, content: Buffer.from("planted") },
      ]);
      assert.equal(existsSync(WITNESS), false);
      await plantCanary(session);
    },
  },
];

export const workspaceAttacks: readonly Attack[] = [
  {
    name: "links to files of the host lead nowhere, and a checkpoint carries the link alone",
    code: `
import os
for number, target in enumerate(("/etc/shadow", "/etc/hostname", "/root/.ssh/id_rsa", "/proc/1/environ", ${JSON.stringify(WITNESS)}, "/", "..")):
    os.symlink(target, f"link{number}")
try:
    os.link("/etc/passwd", "hard")
except OSError as error:
    print(type(error).__name__)`,
    async contained([outcome], session) {
      writeFileSync(WITNESS, "what the host keeps to itself");
      try {
        const { checkpointId, blobPath } = await session.checkpoint();
        const blob = readFileSync(blobPath, "latin1");
        session.dropCheckpoint(checkpointId);
        assert.ok(!blob.includes("what the host keeps to itself"));
        assert.ok(!blob.includes("root:"));
        assert.ok(blob.includes("/etc/shadow"));
        assert.match(printedBy(outcome), /^(OSError|PermissionError)\n$/);
      } finally {
        rmSync(WITNESS);
      }
    },
  },
  {
    name: "pipes, sockets, devices, loops, odd names and huge holes do not hold up a checkpoint",
    code: String.raw`
import os, socket
os.mkfifo("pipe")
try: socket.socket(socket.AF_UNIX).bind("socket")
except PermissionError: os.mkfifo("socket")
os.symlink("loop", "loop")
os.mkdir("dir"); os.symlink("..", "dir/up")
for name in (b"\xff\xfe", b"new\nline", b"x" * 255, b" ", b"\\", b"\x1b[31m"):
    open(name, "w").close()
with open("hole", "wb") as file: file.truncate(200 << 20)
os.chmod("dir", 0)
deep = "deep"
for _ in range(500):
    os.mkdir(deep); os.chdir(deep)
os.chdir("/workspace")`,
    timeout: 20,
    async contained([outcome], session) {
      resultOf(outcome);
      const { checkpointId, skipped, size } = await session.checkpoint();
      session.dropCheckpoint(checkpointId);
      assert.ok(size < 100 * 1024 * 1024, `${size}`);
      const names = skipped.map(({ name }) => name);
      for (const name of ["pipe", "socket", "hole"]) assert.ok(names.includes(name), `${name}: ${names}`);
    },
  },
  {
    name: "files that change while they are saved are saved as they were or left out",
    code: `
import os, threading
def churn():
    number = 0
    while True:
        number += 1
        try:
            os.symlink("/etc/passwd", "swap.new"); os.replace("swap.new", "swap")
            with open("swap.new", "wb") as file: file.write(b"x" * (number % 100_000))
            os.replace("swap.new", "swap")
        except OSError:
            pass
if os.fork() == 0: churn()`,
    async contained(_outcomes, session) {
      for (let round = 0; round < 5; round += 1) {
        const { checkpointId, blobPath } = await session.checkpoint();
        assert.ok(!readFileSync(blobPath, "latin1").includes("nobody:x:"));
        session.dropCheckpoint(checkpointId);
      }
    },
  },
];

/** What one session leaves in every place that all can write to. */
export const LITTER = `
import os
for place in ("/tmp", "/dev/shm", "/workspace", os.environ["HOME"], "/var/tmp", "/run", "/dev"):
    try: open(f"{place}/left-behind", "w").write("for the next one")
    except OSError: pass`;

export const FIND_LITTER = `
import os
sorted(os.path.join(folder, name) for top in ("/tmp", "/dev/shm", "/workspace", "/home", "/run") for folder, _, names in os.walk(top)
    for name in names if name != "channel.sock")`;
