/** Owns the proof that a session without namespaces is confined, keeps all its features, and ends with everything that it started. */
// @module-tag landlock
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, describe, expect, it } from "vitest";
import { testPython } from "../../../scripts/python-tests.ts";
import { startLandlocked } from "../../../worker-runner/sandbox/landlock/landlocked.ts";
import { childrenOf, descendantsOf, isRunning } from "../../../worker-runner/sandbox/process-tree.ts";
import type { StartSandbox } from "../../../worker-runner/sandbox/sandbox-contract.ts";
import { Zygotes } from "../../../worker-runner/sandbox/zygotes.ts";
import { startPackageIndex } from "../../support/package-index.ts";
import { failure, result, run, startSession } from "../borrowed-session.ts";
import { keepKeeper } from "./kept-keeper.ts";

const zygotes = new Zygotes();
afterAll(() => zygotes.close());

const leftFolders = () => readdirSync(tmpdir()).filter((name) => name.startsWith("pyrepl3-files-")).length;

describe.each<[string, StartSandbox]>([
  ["by itself", startLandlocked],
  ["by a fork of the zygote", zygotes.into("landlock").startForked],
])("a keeper that starts %s", (_how, startSandbox) => {
  const start = () => startSession({ startSandbox, python: testPython() });

  it("runs code with its own folders, and with no way to sockets, files, signals or privileges", async () => {
    const session = await start();
    const look = `
import os, socket, tempfile
def attempt(action, *arguments):
    try: return repr(action(*arguments))[:80]
    except OSError as error: return type(error).__name__
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
[status["NoNewPrivs"].strip(), status["Seccomp"].strip(), status["CapEff"].strip(), sorted(k for k in os.environ if "PYREPL" in k),
 attempt(os.listdir, "/"), attempt(open, "/etc/passwd"), attempt(open, "/usr/planted", "w"), attempt(socket.socket), attempt(os.kill, os.getppid(), 9),
 attempt(os.kill, 1, 0), attempt(os.setpgid, 0, os.getppid()), open("file", "w").write("own"), tempfile.NamedTemporaryFile().write(b"own"),
 [end.send(b"own") for end in socket.socketpair()]]`;
    expect((await result(session, look)).value).toEqual([
      "1",
      "2",
      "0000000000000000",
      [],
      ...Array(7).fill("PermissionError"),
      3,
      3,
      [3, 3],
    ]);
  });

  it("recovers, rolls back, interrupts, checkpoints and restores", async () => {
    const session = await start();
    await result(session, "x = 1");
    expect(await failure(session, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")).toMatchObject({
      reason: "process_died",
      state: "recovered",
    });
    const { checkpointId } = await session.checkpoint();
    await result(session, "x = 2");
    expect(await session.restore(checkpointId)).toMatchObject({ missing: [] });
    expect((await result(session, "x")).value).toBe(1);
    expect(await failure(session, "while True: pass", { timeout: 0.3 })).toMatchObject({ reason: "timeout" });
    await session.reset();
    expect((await result(session, "globals().get('x')")).value).toBe(null);
  });

  it("installs packages, and still has no network", { tags: "pip" }, async () => {
    const index = await startPackageIndex([{ name: "greeting", version: "1.0", module: "text = 'hello'" }]);
    const limits = { fileHosts: [], silenceMs: 1_000, installMs: 60_000, restoreMs: 30_000 };
    const session = await startSession({
      startSandbox,
      python: testPython(),
      packageIndex: { url: index.url, ...limits },
    });
    const ran = await run(session, "%pip install greeting");
    expect(ran.terminal.type, JSON.stringify(ran.terminal.data)).toBe("result");
    expect((await result(session, "import greeting; greeting.text")).value).toBe("hello");
    await index.close();
  });

  it("ends every process and removes every file with the session", async () => {
    const before = { folders: leftFolders(), children: childrenOf(process.pid).length };
    const session = await start();
    const daemons = `
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            os.write(write, f"{os.getpid()} ".encode())
            time.sleep(600)
    os._exit(0)
os.wait()
text = b""
while text.count(b" ") < 3: text += os.read(read, 100)
list(map(int, text.split()))`;
    const pids = (await result(session, daemons)).value as number[];
    expect(pids.map(isRunning)).toEqual([true, true, true]);
    await session.shutdown();
    expect(pids.map(isRunning)).toEqual([false, false, false]);
    expect(leftFolders()).toBe(before.folders);
    expect(childrenOf(process.pid).length).toBeLessThanOrEqual(before.children + 1);
  });

  it("ends everything if the warden or the keeper is killed from outside", async () => {
    for (const victim of ["warden", "keeper"] as const) {
      const { sandbox, hello, end } = await keepKeeper({}, startSandbox);
      await hello;
      const [keeper = 0] = descendantsOf(sandbox.pid);
      process.kill(victim === "warden" ? sandbox.pid : keeper, "SIGKILL");
      expect(await sandbox.exited).toEqual({ code: null, signal: "SIGKILL" });
      await expect.poll(() => isRunning(keeper)).toBe(false);
      await end();
    }
  });
});
