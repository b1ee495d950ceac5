import { expect, it } from "vitest";
import type { ExecutionEvent } from "../../../src/protocol/event.ts";
import type { ToolResult } from "../../../src/protocol/tool.ts";
import type { ExecuteRequest, Session } from "../../../worker-runner/index.ts";
import { collect, result, startSession } from "../borrowed-session.ts";

type CallData = Extract<ExecutionEvent, { type: "tool_call" }>["data"];
type Answer = Omit<ToolResult, "call_id"> | null;

const ECHO = { name: "echo", input_schema: { type: "object" }, timeout: 30 };

/** Answers each call as it comes; null leaves it without an answer. */
function answering(session: Session, answer: (call: CallData) => Answer): CallData[] {
  const calls: CallData[] = [];
  session.subscribe({
    event: ({ type, frame }) => {
      if (type !== "tool_call") return;
      const { data } = JSON.parse(frame) as { data: CallData };
      calls.push(data);
      const given = answer(data);
      if (given !== null) setImmediate(() => session.toolResult({ call_id: data.call_id, ...given }));
    },
  });
  return calls;
}

const run = (session: Session, code: string, request: Omit<ExecuteRequest, "code"> = {}) =>
  collect(session.execute({ code: `import tools\n${code}`, tools: [ECHO], ...request }));

const endings = (events: ExecutionEvent[]) =>
  events.flatMap((event) => (event.type === "tool_done" ? [event.data.status] : []));

it("hands a call out, takes the first answer, and tells both in order", async () => {
  const session = await startSession();
  const answers: boolean[] = [];
  const calls = answering(session, () => null);
  const ended = run(session, "print('before')\nx = tools.echo(q='é')\nprint('after')\nx");
  await expect.poll(() => calls.length).toBe(1);
  const { pendingToolCalls } = await session.status();
  expect(pendingToolCalls).toMatchObject([{ name: "echo", arguments: { q: "é" }, batch: expect.any(String) }]);
  expect(pendingToolCalls[0]?.timeout).toBeLessThanOrEqual(30);
  const call_id = calls[0]?.call_id ?? "";
  answers.push(session.toolResult({ call_id: "another", value: 1 }));
  answers.push(session.toolResult({ call_id, value: { found: [1, null] } }));
  answers.push(session.toolResult({ call_id, value: 2 }));
  const { events, terminal } = await ended;
  expect(answers).toEqual([false, true, false]);
  const types = events.map(({ type }) => type);
  // A busy machine may send one print in several events.
  expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
    "output",
    "tool_call",
    "tool_done",
    "output",
    "result",
  ]);
  expect(terminal.data).toMatchObject({
    value: { found: [1, null] },
    tool_calls: [{ name: "echo", call_id, status: "ok" }],
  });
  expect((await session.status()).pendingToolCalls).toEqual([]);
});

it("makes a thousand calls in a loop, and tells a hundred of them with the ending", async () => {
  const session = await startSession();
  answering(session, (call) => ({ value: call.arguments }));
  const { terminal, events } = await run(session, "sum(tools.echo(n=n)['n'] for n in range(1000))");
  expect(terminal.data).toMatchObject({ value: 499500 });
  expect((terminal.data as { tool_calls: unknown[] }).tool_calls).toHaveLength(100);
  expect(endings(events)).toHaveLength(1000);
});

it("raises what the client says went wrong", async () => {
  const session = await startSession();
  answering(session, () => ({ error: { type: "NotFound", message: "no page", data: [404] } }));
  const code = "try:\n  tools.echo()\nexcept tools.ToolError as e:\n  e = [e.type, str(e), e.data]\n  found = e\nfound";
  const { terminal, events } = await run(session, code);
  expect(terminal.data).toMatchObject({ value: ["NotFound", "no page", [404]] });
  expect(endings(events)).toEqual(["error"]);
});

it("stops the clock of the execution while a call waits, and holds the call to its own time", async () => {
  const session = await startSession();
  answering(session, () => null);
  const code = "try:\n  tools.echo()\nexcept tools.ToolTimeout:\n  x = 'timed out'\nx";
  const { terminal, events } = await run(session, code, { timeout: 1, tools: [{ ...ECHO, timeout: 2 }] });
  expect(terminal.data).toMatchObject({ value: "timed out" });
  expect(endings(events)).toEqual(["timed_out"]);
  const late = await run(session, "while True: pass", { timeout: 0.3 });
  expect(late.terminal.data).toMatchObject({ reason: "timeout" });
});

it("counts the time before and after a call", async () => {
  const session = await startSession();
  answering(session, (call) => ({ value: call.arguments }));
  const { terminal } = await run(session, "while True: tools.echo()", { timeout: 0.5, max_tool_calls: 1_000_000 });
  expect(terminal.data).toMatchObject({ reason: "timeout", state: "kept" });
});

it.each(["interrupt", "cancel"] as const)("tells of a cancelled call before the ending after %s", async (how) => {
  const session = await startSession();
  const calls = answering(session, () => null);
  const ended = run(session, "tools.echo()", { id: "waits" });
  await expect.poll(() => calls.length).toBe(1);
  if (how === "interrupt") session.interrupt();
  else session.cancel("waits" as never);
  const { events, terminal } = await ended;
  expect(events.map(({ type }) => type)).toEqual(["tool_call", "tool_done", "error"]);
  expect(terminal.data).toMatchObject({ tool_calls: [{ status: "cancelled" }], state: "kept" });
  expect(session.toolResult({ call_id: calls[0]?.call_id ?? "", value: 1 })).toBe(false);
  expect((await result(session, "1")).value).toBe(1);
});

it("tells of calls that nobody waits for at the end, and of those lost with their interpreter", async () => {
  const session = await startSession();
  const calls = answering(session, () => null);
  const waiting = run(session, "import threading\nthreading.Thread(target=tools.echo, daemon=True).start()\ninput()");
  await expect.poll(() => calls.length).toBe(1);
  await expect.poll(async () => (await session.status()).pendingInput).not.toBeNull();
  session.inputResponse((await session.status()).pendingInput?.input_id ?? "", "");
  expect(endings((await waiting).events)).toEqual(["cancelled"]);
  const ended = run(session, "import os\nthreading.Timer(1, os._exit, [3]).start()\ntools.echo()");
  await expect.poll(() => calls.length).toBe(2);
  const { events, terminal } = await ended;
  expect(endings(events)).toEqual(["lost"]);
  expect(terminal.data).toMatchObject({ reason: "process_died" });
});

it("has 64 calls wait side by side, raised together", async () => {
  const session = await startSession();
  const calls = answering(session, () => null);
  const code = "import asyncio\n[a['n'] for a in await asyncio.gather(*(tools.aio.echo(n=n) for n in range(64)))]";
  const ended = run(session, code, { max_parallel_tool_calls: 64 });
  await expect.poll(() => calls.length).toBe(64);
  expect(new Set(calls.map((call) => call.batch)).size).toBe(1);
  for (const call of calls.toReversed()) session.toolResult({ call_id: call.call_id, value: call.arguments });
  expect((await ended).terminal.data).toMatchObject({ value: Array.from({ length: 64 }, (_, n) => n) });
});

it("ends an interpreter that makes calls it must not make", async () => {
  const session = await startSession();
  answering(session, () => null);
  const code =
    "calls = tools._box._calls\n" +
    "calls.definitions['other'] = {'name': 'other', 'python_name': 'other'}\ncalls.call('other', (), {})";
  const { terminal } = await run(session, code);
  expect(terminal.data).toMatchObject({ reason: "process_died" });
  expect((await result(session, "1")).value).toBe(1);
});
