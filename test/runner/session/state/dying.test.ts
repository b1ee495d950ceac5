import { randomInt } from "node:crypto";
import { describe, expect, it } from "vitest";
import { failure, heard, result, run, startSession } from "../../borrowed-session.ts";

const deaths: [name: string, code: string, words: string][] = [
  ["os._exit", "import os; os._exit(3)", "code 3"],
  ["a segfault", "import ctypes; ctypes.string_at(0)", "SIGSEGV"],
  ["an abort", "import os; os.abort()", "SIGABRT"],
  ["SIGKILL from inside", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"],
  ["closing every descriptor", "import os; os.closerange(0, 1000); import time; time.sleep(60)", "interpreter"],
];

describe.each(deaths)("%s", (_name, code, words) => {
  it("ends in one named error; the state is as before, and all output was told", async () => {
    const session = await startSession();
    await result(session, "x = [1]");
    const { stdout, events, terminal } = await run(session, `x.append(2)\nprint('last words', end='')\n${code}`);
    expect(stdout).toBe("last words");
    expect(events.filter(({ type }) => type === "error" || type === "result").length).toBe(1);
    expect(terminal.data).toMatchObject({ reason: "process_died", state: "recovered", transaction: "rolled_back" });
    expect(terminal.data).toMatchObject({ exception_message: expect.stringContaining(words) });
    expect((await result(session, "x")).value).toEqual([1]);
  });
});

it("recovers the very first execution", async () => {
  const session = await startSession();
  expect(await failure(session, "x = 1; import os; os._exit(0)")).toMatchObject({ state: "recovered" });
  expect((await result(session, "'x' in globals()")).value).toBe(false);
});

it("names the kernel's end for memory, or a MemoryError, as such", async () => {
  const session = await startSession({ limits: { memoryBytes: 96 * 1024 * 1024 } });
  await result(session, "x = 1");
  const error = await failure(session, "b = []\nwhile True: b.append(bytearray(8 * 1024 * 1024))");
  expect(error.reason).toBe("out_of_memory");
  expect((await result(session, "1")).value).toBe(1);
});

it("comes back silently from a death between executions, and says so to its listeners", async () => {
  const session = await startSession();
  await result(session, "x = 1");
  const restored = heard(session, "state", (state, reason) => state === "restored" && reason.includes("code 4"));
  await result(session, "import threading, os, time\nthreading.Timer(1, os._exit, [4]).start()");
  await restored;
  expect((await result(session, "x")).value).toBe(1);
});

it("takes along what an execution left running when it died", async () => {
  const session = await startSession();
  // Without a sandbox, the process list is that of the whole machine.
  const seconds = `1000.${randomInt(1_000_000_000)}`;
  await failure(
    session,
    `import os, subprocess\nsubprocess.Popen(['sleep', '${seconds}'], start_new_session=True)\nos._exit(1)`,
  );
  const left = `
import os
def command(pid):
  try: return open(f'/proc/{pid}/cmdline').read()
  except OSError: return ''
[p for p in os.listdir('/proc') if p.isdigit() and '1000.' + '${seconds.slice(5)}' in command(p)]`;
  expect((await result(session, left)).value).toEqual([]);
});

it("says that the state is fresh where there is no copy to go back to", async () => {
  const session = await startSession({ recoveryMaxResidentBytes: 0 });
  await result(session, "x = 1");
  expect(await failure(session, "import os; os._exit(1)")).toMatchObject({
    state: "fresh",
    transaction: "rolled_back",
  });
  expect((await result(session, "'x' in globals()")).value).toBe(false);
});

it("goes back to the last checkpoint where the state is too large to copy, and lists what is lost", async () => {
  const session = await startSession({ recoveryMaxResidentBytes: 1 });
  await result(session, "x = 1");
  const { checkpointId } = await session.checkpoint();
  await result(session, "x = 2", { id: "lost" });
  expect(await failure(session, "import os; os._exit(1)")).toMatchObject({
    state: "restored",
    state_checkpoint_id: checkpointId,
    lost_executions: ["lost"],
  });
  expect((await result(session, "x")).value).toBe(1);
});

it("goes back to the last copy where executions came too fast for one each, and lists what is lost", async () => {
  const session = await startSession({ recoveryCopiesBurst: 1, recoveryCopyShare: 0 });
  await result(session, "x = 1");
  const lost = result(session, "x = 2", { id: "lost" });
  const died = failure(session, "import os; os._exit(1)");
  await lost;
  expect(await died).toMatchObject({ state: "restored", lost_executions: ["lost"] });
  expect((await result(session, "x")).value).toBe(1);
});

it("copies what a burst left as soon as there is time", async () => {
  const copies: (number | null)[] = [];
  const metrics = { recoverySnapshot: (pauseSeconds: number | null) => copies.push(pauseSeconds) };
  const session = await startSession({ recoveryCopiesBurst: 1, recoveryCopyShare: 0, metrics });
  await result(session, "x = 1");
  await result(session, "x = 2");
  await expect.poll(() => copies.length).toBe(2);
  expect(await failure(session, "import os; os._exit(1)")).toMatchObject({ state: "recovered" });
  expect((await result(session, "x")).value).toBe(2);
});
