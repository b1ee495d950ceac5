import { expect, it } from "vitest";
import { livePid, printed, result, run, startSession, startWatched } from "../borrowed-session.ts";

it("completes names of the session, and says what it replaces", async () => {
  const session = await startSession();
  await result(session, "remarkable = 1");
  const { matches, cursor_start, cursor_end } = await session.complete("x = remark", 10);
  expect(matches).toContain("remarkable");
  expect([cursor_start, cursor_end]).toEqual([4, 10]);
});

it("says whether code is complete", async () => {
  const session = await startSession();
  expect(await session.isComplete("x = 1")).toEqual({ status: "complete" });
  expect(await session.isComplete("def f():")).toMatchObject({ status: "incomplete", indent: expect.any(String) });
  expect(await session.isComplete("x = = 1")).toEqual({ status: "invalid" });
});

it("waits for a busy session as long as it may, and no longer", async () => {
  const patient = await startSession({ completionWaitMs: 30_000 });
  const short = run(patient, "import time; time.sleep(0.1)");
  expect(await patient.isComplete("1")).toEqual({ status: "complete" });
  await short;
  const session = await startSession({ completionWaitMs: 300 });
  const long = run(session, "print('on', flush=True)\ninput()");
  await printed(session, "on");
  await expect(session.complete("a", 1)).rejects.toMatchObject({ code: "deadline" });
  session.interrupt();
  await long;
});

it("does not hang where an object's own code does", async () => {
  const session = await startSession({ completionAnswerMs: 500 });
  await result(session, "class A:\n  def __dir__(self):\n    while True: pass\na = A()\nx = 1");
  await Promise.allSettled([session.complete("a.", 2)]);
  expect((await result(session, "x")).value).toBe(1);
});

it("says that the interpreter died where it did, and not that it took too long", async () => {
  const { session, sandboxes } = await startWatched();
  const live = livePid(sandboxes, Number((await result(session, "import os\nos.getpid()")).value));
  process.kill(live, "SIGSTOP");
  const asked = session.complete("a", 1);
  setTimeout(() => process.kill(live, "SIGKILL"), 50);
  await expect(asked).rejects.toMatchObject({ code: "interpreter_died" });
  expect(await session.isComplete("1")).toEqual({ status: "complete" });
});

it("lets no more than a few questions wait, and none of any size", async () => {
  const session = await startSession({ codeMaxBytes: 1_000 });
  await expect(session.isComplete("x".repeat(1_001))).rejects.toMatchObject({ code: "payload_too_large" });
  const busy = run(session, "print('on', flush=True)\ninput()");
  await printed(session, "on");
  const waiting = Array.from({ length: 16 }, () => session.isComplete("1"));
  await expect(session.complete("a", 1)).rejects.toMatchObject({ code: "queue_full" });
  session.interrupt();
  await busy;
  expect(new Set((await Promise.all(waiting)).map(({ status }) => status))).toEqual(new Set(["complete"]));
  expect(await session.isComplete("1")).toEqual({ status: "complete" });
});
