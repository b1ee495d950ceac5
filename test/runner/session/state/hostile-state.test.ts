// State whose own code works against being copied, saved or looked at.
import { expect, it } from "vitest";
import { failure, result, run, startSession } from "../../borrowed-session.ts";

const pythons =
  "sum(b'pyrepl' in open(f'/proc/{p}/cmdline', 'rb').read() for p in __import__('os').listdir('/proc') if p.isdigit())";

const killOthers =
  "import os, signal\nfor p in os.listdir('/proc'):\n  if p.isdigit() and int(p) != os.getpid():\n    try: os.kill(int(p), signal.SIGKILL)\n    except OSError: pass";

it("gives up on a checkpoint whose object hangs in its own code, and ends what hangs", async () => {
  const session = await startSession({ checkpointSilenceMs: 500 });
  await result(session, "class R:\n  def __reduce__(self):\n    while True: pass\nr = R()");
  // Rolled back, so that counting leaves no copy for undo.
  const count = async () => Number((await result(session, pythons, { transaction_policy: "rollback_always" })).value);
  const before = await count();
  await expect(session.checkpoint()).rejects.toMatchObject({ code: "checkpoint_failed" });
  await expect.poll(count).toBeLessThanOrEqual(before);
  await result(session, "del r");
  await session.checkpoint();
});

it("survives code that kills every process that it can", { tags: "bubblewrap" }, async () => {
  const session = await startSession();
  await result(session, "x = 1");
  await run(session, killOthers);
  expect((await result(session, "x")).value).toBe(1);
  expect(await failure(session, "import os; os._exit(1)")).toMatchObject({ state: "recovered" });
  expect((await result(session, "x")).value).toBe(1);
});

it("says that the state is gone where code killed its own copies and then died", { tags: "bubblewrap" }, async () => {
  const session = await startSession();
  await result(session, "x = 1");
  const error = await failure(session, `${killOthers}\nos._exit(1)`);
  expect(error).toMatchObject({ reason: "process_died", state: "fresh" });
  expect((await result(session, "'x' in globals()")).value).toBe(false);
});

it("rolls back what it was told to, beyond the size up to which it does so unasked", async () => {
  const session = await startSession({ recoveryMaxResidentBytes: 1 });
  await result(session, "x = [1]");
  const error = await failure(session, "x.append(2)\n1/0", { transaction_policy: "rollback_on_failure" });
  expect(error).toMatchObject({ state: "rolled_back", transaction: "rolled_back" });
  expect((await result(session, "x")).value).toEqual([1]);
});

it("keeps user threads out of copies, and takes a fresh one for a checkpoint where there are some", async () => {
  const session = await startSession();
  await result(
    session,
    "import threading, time\nn = 0\ndef count():\n  global n\n  while n < 10**6:\n    n += 1\n    time.sleep(0.001)\nt = threading.Thread(target=count, daemon=True); t.start()",
  );
  const before = Number((await result(session, "time.sleep(0.05)\nn")).value);
  const { checkpointId } = await session.checkpoint();
  await session.restore(checkpointId);
  const [after, threads] = (await result(session, "[n, threading.active_count()]")).value as [number, number];
  expect(after).toBeGreaterThanOrEqual(before);
  expect(threads).toBe(1);
});

it("treats sys.exit as an exception like any other", async () => {
  const session = await startSession();
  expect(await failure(session, "x = 1\nimport sys; sys.exit(3)")).toMatchObject({
    exception_type: "SystemExit",
    state: "kept",
  });
  expect((await result(session, "x")).value).toBe(1);
});

it("keeps its state where user code wakes its copies and dies of the same signal", { tags: "bubblewrap" }, async () => {
  const session = await startSession();
  await result(session, "x = 1");
  expect(await failure(session, "import os, signal; os.kill(0, signal.SIGUSR1)")).toMatchObject({ state: "recovered" });
  expect((await result(session, "x")).value).toBe(1);
});

it("can be stopped also where it gives itself out for its own copy", async () => {
  const session = await startSession();
  const forge = `
import gc, os
for live in [o for o in gc.get_objects() if type(o).__name__ == 'Live']:
  say = live.say
  live.say = lambda message: say({**message, 'pid': os.getpid()} if message.get('type') == 'snapshot_taken' else message)`;
  await run(session, forge);
  await run(session, "1");
  const error = await failure(session, "import signal\nsignal.signal(2, signal.SIG_IGN)\nwhile True: pass", {
    timeout: 0.5,
  });
  expect(["timeout", "process_died"]).toContain(error.reason);
  expect((await result(session, "1 + 1")).value).toBe(2);
});
