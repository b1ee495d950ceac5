import { describe, expect, it } from "vitest";
import type { ExecutionId } from "../../../../src/protocol/identity.ts";
import { failure, livePid, printed, result, run, startSession, startWatched } from "../../borrowed-session.ts";

/** Code that does not end by itself, and whether SIGINT alone ends it. */
const endless: [name: string, code: string, isPolite: boolean][] = [
  ["a loop", "while True: pass", true],
  ["a sleep", "import time; time.sleep(60)", true],
  [
    "a loop that ignores SIGINT",
    "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    false,
  ],
  [
    "a loop that swallows every exception",
    "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    false,
  ],
  ["one long call into C", "pow(7, 10**8) and pow(7, 10**8)", false],
];

describe.each(endless)("%s", (_name, code, isPolite) => {
  // A busy machine takes its time to hand a signal over.
  const options = isPolite ? { interruptGraceMs: 20_000 } : {};

  it("ends when its time is up, and the session answers with its state", async () => {
    const session = await startSession(options);
    await result(session, "x = [1]");
    const error = await failure(session, `x.append(2)\n${code}`, { timeout: 1 });
    expect(error.reason).toBe("timeout");
    if (isPolite) expect(error).toMatchObject({ state: "kept", transaction: "committed" });
    expect(["kept", "recovered"]).toContain(error.state);
    expect((await result(session, "x")).value).toEqual(error.state === "kept" ? [1, 2] : [1]);
  });

  it("ends when it is interrupted, and the session answers with its state", async () => {
    const session = await startSession(options);
    await result(session, "x = [1]");
    const running = run(session, `x.append(2)\nprint('on', flush=True)\n${code}`);
    await printed(session, "on");
    expect(session.interrupt()).not.toBeNull();
    const { terminal } = await running;
    expect(terminal.data).toMatchObject({ reason: "interrupted" });
    if (isPolite) expect(terminal.data).toMatchObject({ state: "kept", exception_type: "KeyboardInterrupt" });
    const state = terminal.type === "error" && terminal.data.state;
    expect((await result(session, "x")).value).toEqual(state === "kept" ? [1, 2] : [1]);
  });
});

it("keeps what was printed before the time was up", async () => {
  const session = await startSession();
  const { stdout } = await run(session, "print('part', end='')\nwhile True: pass", { timeout: 1 });
  expect(stdout).toBe("part");
});

it("keeps what was printed before it was killed", async () => {
  const session = await startSession();
  const code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('part', end='')\nwhile True: pass";
  const { stdout, terminal } = await run(session, code, { timeout: 1 });
  expect(stdout).toBe("part");
  expect(terminal.data).toMatchObject({ reason: "timeout", state: "recovered", transaction: "rolled_back" });
});

it("takes a KeyboardInterrupt that is caught for a result, unless the time was up", async () => {
  const session = await startSession();
  const code =
    "import time\ntry:\n    print('on', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt: 'caught'\n'ended'";
  const running = run(session, code);
  await printed(session, "on");
  session.interrupt();
  expect((await running).terminal).toMatchObject({ type: "result", data: { value: "ended" } });
  expect(await failure(session, code, { timeout: 0.3 })).toMatchObject({ reason: "timeout", state: "kept" });
});

it("lets code that has noticed an interrupt clean up, and no longer than it may", async () => {
  const patient = await startSession({ interruptGraceMs: 1_000, noticedInterruptGraceMs: 30_000 });
  const code = (seconds: number) =>
    `import time\ntry:\n    print('on', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    time.sleep(${seconds})\n'cleaned'`;
  const tidy = run(patient, code(2));
  await printed(patient, "on");
  patient.interrupt();
  expect((await tidy).terminal).toMatchObject({ type: "result", data: { value: "cleaned" } });
  const session = await startSession({ interruptGraceMs: 200, noticedInterruptGraceMs: 1_500 });
  const endless = run(session, code(60));
  await printed(session, "on");
  session.interrupt();
  expect((await endless).terminal.data).toMatchObject({ reason: "interrupted", state: "recovered" });
  expect(await failure(session, code(60), { timeout: 0.3 })).toMatchObject({ reason: "timeout", state: "recovered" });
});

it("takes every further interrupt for one more", async () => {
  const session = await startSession();
  const code =
    "import time\nhits = 0\nwhile hits < 3:\n    try:\n        print('on', flush=True)\n        time.sleep(60)\n    except KeyboardInterrupt: hits += 1\nhits";
  const running = run(session, code);
  for (let hit = 0; hit < 3; hit += 1) {
    await printed(session, "on");
    session.interrupt();
  }
  expect((await running).terminal).toMatchObject({ type: "result", data: { value: 3 } });
});

it("never lets an interrupt reach the next execution", async () => {
  const session = await startSession();
  for (let round = 0; round < 100; round += 1) {
    const running = run(session, "1");
    session.interrupt();
    const next = run(session, "sum(range(1000))");
    await running;
    expect((await next).terminal.type).toBe("result");
  }
});

it("interrupts code that has hardly been sent, without killing it", async () => {
  const session = await startSession();
  for (let round = 0; round < 20; round += 1) {
    const running = run(session, "import time; time.sleep(60)");
    session.interrupt();
    expect((await running).terminal.data).toMatchObject({ reason: "interrupted", state: "kept" });
  }
});

it("says that nothing runs where nothing does", async () => {
  const session = await startSession();
  expect(session.interrupt()).toBeNull();
  expect(session.cancel("unknown" as ExecutionId)).toBe(false);
  await run(session, "1", { id: "over" });
  expect(session.cancel("over" as ExecutionId)).toBe(false);
});

it("ends a waiting execution without running it, and a running one by interrupt", async () => {
  const session = await startSession();
  const running = run(session, "print('on', flush=True)\nwhile True: pass", { id: "running" });
  const waiting = run(session, "ran = True", { id: "waiting" });
  await printed(session, "on");
  expect(session.cancel("waiting" as ExecutionId)).toBe(true);
  expect((await waiting).terminal.data).toMatchObject({
    reason: "cancelled",
    state: "kept",
    transaction: "rolled_back",
  });
  expect(session.cancel("running" as ExecutionId)).toBe(true);
  expect((await running).terminal.data).toMatchObject({ reason: "cancelled", state: "kept" });
  expect((await result(session, "'ran' in globals()")).value).toBe(false);
});

it("ends an execution that writes more than it may, and says how much was left out", async () => {
  const session = await startSession({ outputMaxCharacters: 1000 });
  expect((await run(session, "print('a' * 999)")).stdout.length).toBe(1000);
  const { events, stdout, terminal } = await run(session, "print('a' * 1000)\nimport time; time.sleep(60)");
  expect(stdout.length).toBe(1000);
  expect(events.at(-2)).toMatchObject({ type: "output_truncated", data: { dropped_bytes: 1 } });
  expect(terminal.data).toMatchObject({ reason: "output_limit" });
  expect((await result(session, "1")).value).toBe(1);
});

it("resets to a fresh interpreter, ending what runs and what waits", async () => {
  const session = await startSession();
  await result(session, "x = 1");
  const running = run(session, "print('on', flush=True)\nwhile True: pass");
  await printed(session, "on");
  const waiting = run(session, "x = 2");
  await session.reset();
  expect((await running).terminal.data).toMatchObject({ reason: "cancelled" });
  expect((await waiting).terminal.data).toMatchObject({ reason: "cancelled" });
  expect((await result(session, "'x' in globals()")).value).toBe(false);
});

it("is interrupted once where it prints too much, however much it prints while it cleans up", async () => {
  const session = await startSession({ outputMaxCharacters: 2_000, interruptGraceMs: 20_000 });
  const code = `
import time
count = 0
until = time.monotonic() + 1.5
while time.monotonic() < until:
  try:
    while time.monotonic() < until: print('x' * 100, flush=True)
  except KeyboardInterrupt: count += 1`;
  await run(session, code);
  expect((await result(session, "count")).value).toBe(1);
});

it("may clean up for as long as whoever stops it says", async () => {
  const session = await startSession();
  const running = run(
    session,
    "import time\ntry:\n  print('on', flush=True)\n  time.sleep(60)\nfinally:\n  time.sleep(60)",
  );
  await printed(session, "on");
  session.cancelAll(300);
  expect((await running).terminal.data).toMatchObject({ reason: "cancelled", state: "recovered" });
});

it("ends in time also where a thread keeps the interpreter from answering, rollback or not", async () => {
  const session = await startSession();
  await result(session, "x = 1");
  const hog =
    "import re, threading, time\nt = threading.Thread(target=lambda: (time.sleep(0.2), re.match('(a+)+$', 'a' * 45 + 'b')))\nt.start()";
  await result(session, hog);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const error = await failure(session, "x = 2", { transaction_policy: "rollback_on_failure", timeout: 1 });
  expect(error).toMatchObject({ reason: "timeout", transaction: "rolled_back" });
  expect((await result(session, "x")).value).toBe(1);
});

describe("children that the code forked", () => {
  // Python loses an interrupt that comes while a child still runs the functions of os.register_at_fork, so each child tells that it runs.
  const BURN =
    "import os, sys, time\npids = []\ntold, tell = os.pipe()\nfor i in range(2):\n  pid = os.fork()\n  if pid == 0:\n    os.write(tell, b'x')\n    while True: pass\n  pids.append(pid)\n  os.read(told, 1)\n";
  const isBurning =
    "alive = []\nfor p in pids:\n  try: state = open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[0]\n  except OSError: state = 'X'\n  if state not in 'ZX': alive.append(p)\nalive";

  it.each([["interrupted"], ["cancelled"], ["timeout"]] as const)("end when the execution is %s", async (reason) => {
    const session = await startSession();
    const begun = printed(session, "begun");
    const running = run(session, `${BURN}print('begun', flush=True)\nwhile True: pass`, {
      id: "burning",
      ...(reason === "timeout" ? { timeout: 2 } : {}),
    });
    await begun;
    if (reason === "interrupted") session.interrupt();
    if (reason === "cancelled") session.cancel("burning" as ExecutionId);
    expect((await running).terminal.data).toMatchObject({ reason });
    await expect.poll(async () => (await result(session, isBurning)).value).toEqual([]);
  });

  it("go on until the session ends, if they have made a session of their own", async () => {
    const session = await startSession();
    const wait = "while any(os.getsid(pid) != pid for pid in pids): time.sleep(0.01)\n";
    const code = `${BURN.replace("while True: pass", "os.setsid(); time.sleep(60)")}${wait}print('begun', flush=True)\ntime.sleep(60)`;
    const begun = printed(session, "begun");
    const running = run(session, code, { id: "daemons" });
    await begun;
    session.interrupt();
    await running;
    expect((await result(session, isBurning)).value).toHaveLength(2);
  });
});

it("counts the time limit from when the code begins", async () => {
  const { session, sandboxes } = await startWatched();
  const live = livePid(sandboxes, Number((await result(session, "import os, time\nos.getpid()")).value));
  process.kill(live, "SIGSTOP");
  const running = run(session, "began = time.monotonic()\nwhile True: last = time.monotonic() - began", { timeout: 3 });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  process.kill(live, "SIGCONT");
  expect((await running).terminal.data).toMatchObject({
    reason: "timeout",
    traceback: expect.stringMatching(/line 2.*\nTimeoutError: the execution took longer than its 3 s\n$/s),
  });
  // One second if the limit counted from when the code was sent.
  expect((await result(session, "last")).value).toBeGreaterThanOrEqual(2);
});

it("runs code on the next interpreter if the one that it was sent to had died before it began", async () => {
  const { session, sandboxes } = await startWatched();
  for (let round = 0; round < 8; round += 1) {
    const inside = Number((await result(session, "import os\nos.getpid()")).value);
    const live = livePid(sandboxes, inside);
    process.kill(live, "SIGSTOP");
    const running = run(session, `x = ${round}\nx`);
    process.kill(live, "SIGKILL");
    expect((await running).terminal).toMatchObject({ type: "result", data: { value: round } });
  }
});
