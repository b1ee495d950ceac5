// @module-tag bubblewrap
// Interpreters forked from a zygote: what they share, what they do not, and what happens when the zygote dies or changes.
import { execFileSync } from "node:child_process";
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { testPython } from "../../../scripts/python-tests.ts";
import type { Session } from "../../../worker-runner/index.ts";
import { childrenOf } from "../../../worker-runner/sandbox/process-tree.ts";
import { chooseSandbox } from "../../../worker-runner/sandbox/sandbox-mode.ts";
import { Zygotes } from "../../../worker-runner/sandbox/zygotes.ts";
import { failure, result, startSession } from "../borrowed-session.ts";
import { testSandbox } from "./kept-keeper.ts";

function openZygotes(onLost?: (reason: string) => void): Zygotes {
  const zygotes = new Zygotes(onLost);
  onTestFinished(() => zygotes.close());
  return zygotes;
}

/** Things that are drawn at random, by everything that draws. */
const DRAW = `
import os, random, secrets, ssl, tempfile, uuid
try: import numpy
except ImportError: numpy = None
drawn = [random.random(), random.randbytes(8).hex(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), os.urandom(8).hex(),
         str(uuid.uuid4()), str(uuid.uuid1()), tempfile.mktemp(), next(tempfile._get_candidate_names())]
if numpy: drawn += [float(numpy.random.random()), float(numpy.random.default_rng().random())]
drawn`;

const draw = async (session: Session) => (await result(session, DRAW)).value as unknown[];

it("gives 50 sessions of one zygote nothing random in common, also after a recovery", {
  timeout: 120_000,
}, async () => {
  const zygotes = openZygotes();
  const preload = ["random", "uuid", "tempfile", "ssl", "secrets", "numpy"];
  const seen = new Set<unknown>();
  let count = 0;
  for (let round = 0; round < 10; round += 1) {
    const sessions = await Promise.all(
      Array.from({ length: 5 }, () =>
        startSession({ startSandbox: zygotes.into("bwrap").startForked, preload, python: testPython() }),
      ),
    );
    for (const session of sessions) {
      for (const each of await draw(session)) {
        seen.add(each);
        count += 1;
      }
      await failure(session, "import os; os._exit(1)");
      for (const each of (await draw(session)).slice(1)) {
        seen.add(each);
        count += 1;
      }
    }
    await Promise.all(sessions.map((session) => session.shutdown()));
  }
  expect(seen.size).toBe(count);
});

it("gives two sessions that restore one checkpoint different names, keys and ids", async () => {
  const zygotes = openZygotes();
  const start = () =>
    startSession({
      startSandbox: zygotes.into("bwrap").startForked,
      preload: ["uuid", "tempfile", "ssl"],
      python: testPython(),
    });
  const first = await start();
  await result(first, "x = 1");
  const { checkpointId } = await first.checkpoint();
  const drawn: unknown[] = [];
  for (let time = 0; time < 2; time += 1) {
    await first.restore(checkpointId);
    // The state of the random module is a part of the checkpoint.
    drawn.push(...(await draw(first)).slice(2, 9));
  }
  expect(new Set(drawn).size).toBe(drawn.length);
});

it("forks with modules loaded, as pid 1's child in a namespace of its own, without privileges or descriptors", async () => {
  const session = await startSession({
    startSandbox: openZygotes().into("bwrap").startForked,
    preload: ["numpy"],
    python: testPython(),
  });
  const look = `
import os, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
[os.getpid(), os.getppid(), os.getuid(), "numpy" in sys.modules, os.getcwd(), sorted(k for k in os.environ if "PYREPL" in k),
 *{status[k].strip() for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}, status["NoNewPrivs"].strip(), status["Seccomp"].strip(),
 sorted({os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")})]`;
  expect((await result(session, look)).value).toEqual([
    2,
    1,
    1000,
    true,
    "/workspace",
    [],
    "0000000000000000",
    "1",
    "2",
    ["/dev/null", "anon_inode", "pipe", "socket"],
  ]);
});

it("starts another zygote when one has died, and its sessions live on", async () => {
  const zygotes = openZygotes();
  const before = new Set(childrenOf(process.pid));
  const session = await startSession({ startSandbox: zygotes.into("bwrap").startSandbox });
  await result(session, "x = 1");
  const zygote = childrenOf(process.pid).filter((pid) => !before.has(pid) && isZygote(pid));
  expect(zygote.length).toBe(1);
  process.kill(zygote[0] ?? 0, "SIGKILL");
  const next = await startSession({ startSandbox: zygotes.into("bwrap").startSandbox });
  expect((await result(next, "1 + 1")).value).toBe(2);
  expect((await result(session, "x")).value).toBe(1);
  await session.shutdown();
  await next.shutdown();
});

it("takes a venv with its modules, and replaces the zygote when one of them changes", { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "pyrepl3-zygote-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  execFileSync(testPython(), ["-m", "venv", "--without-pip", folder]);
  const [library] = globSync(join(folder, "lib/python3*/site-packages"));
  const file = join(library ?? "", "changing.py");
  writeFileSync(file, "VALUE = 1\n");
  const zygotes = openZygotes();
  const options = {
    startSandbox: zygotes.into("bwrap").startForked,
    python: join(folder, "bin/python3"),
    preload: ["changing"],
  };
  const value = async () => {
    const session = await startSession(options);
    const answer = await result(session, "import sys; sys.modules['changing'].VALUE");
    await session.shutdown();
    return answer.value;
  };
  expect(await value()).toBe(1);
  writeFileSync(file, "VALUE = 22\n");
  await expect.poll(value, { timeout: 20_000, interval: 500 }).toBe(22);
});

it("is chosen if it works, and falls back with the reason if it does not", async () => {
  const zygotes = openZygotes();
  const demand = { mode: "auto", sandbox: { ...testSandbox, workspaceDirectory: null } } as const;
  const chosen = await chooseSandbox({ ...demand, zygotes });
  expect(chosen).toMatchObject({ kind: "bwrap", zygoteProblem: null });
  expect(chosen.detail).toMatch(/zygote/);
  const plain = await chooseSandbox({ ...demand, zygotes: null });
  expect(plain).toMatchObject({ kind: "bwrap", zygoteProblem: null, detail: "bubblewrap, one per session" });
});

it("is not chosen if a preloaded module has started threads, and says so", { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "pyrepl3-zygote-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  execFileSync(testPython(), ["-m", "venv", "--without-pip", folder]);
  const [library] = globSync(join(folder, "lib/python3*/site-packages"));
  writeFileSync(
    join(library ?? "", "threading_module.py"),
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
  );
  const sandbox = { ...testSandbox, python: join(folder, "bin/python3"), preload: ["threading_module"] };
  const choice = await chooseSandbox({ mode: "auto", sandbox, zygotes: openZygotes() });
  expect(choice.zygoteProblem).toMatch(/threads/);
  expect(choice.detail).toMatch(/each interpreter starts by itself: PRELOAD/);
});

function isZygote(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes("zygote");
}
