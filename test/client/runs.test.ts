/** What becomes of runs when sockets break, stay silent or are refused, against a scripted far side. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Runs } from "../../src/client/runs.ts";
import { attached, output, result, scriptedService } from "./scripted-service.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const WATCH_MS = 10_000;

function newRuns(service: ReturnType<typeof scriptedService>) {
  return new Runs({
    rest: service.rest,
    socket: service.Socket,
    windowBytes: 1024,
    after: null,
    openTimeoutMs: 60_000,
    resumeTimeoutMs: 60_000,
    session: () => undefined,
    state: () => undefined,
  });
}

const types = (socket: { sent: { type: string }[] } | undefined) => socket?.sent.map(({ type }) => type);
const settled = () => vi.advanceTimersByTimeAsync(0);
const pauses = () => vi.advanceTimersByTimeAsync(5000);

it("sends code again that was not heard of, and asks for what came after the last event", async () => {
  const service = scriptedService();
  const runs = newRuns(service);
  const [heard, unheard] = [runs.start("1", {}), runs.start("2", {})];
  await settled();
  service.sockets[0]?.open();
  expect(types(service.sockets[0])).toEqual(["attach", "execute", "execute"]);
  service.sockets[0]?.receive(attached(6));
  service.sockets[0]?.receive(output(7, heard.executionId, "a"));
  service.sockets[0]?.break();
  await pauses();
  service.sockets[1]?.open();
  expect(service.sockets[1]?.sent).toMatchObject([
    { type: "attach", after: 7 },
    { type: "execute", id: unheard.executionId },
  ]);
  for (const seq of [7, 8]) service.sockets[1]?.receive(output(seq, heard.executionId, "b"));
  service.sockets[1]?.receive(result(9, heard.executionId, 1));
  service.sockets[1]?.receive(result(10, unheard.executionId, 2));
  expect(await heard).toMatchObject({ stdout: "ab", value: 1 });
  expect((await unheard).value).toBe(2);
});

it("gives up a connection over which nothing comes for three rounds while something is awaited", async () => {
  const service = scriptedService();
  newRuns(service).start("1", {});
  await settled();
  service.sockets[0]?.open();
  await vi.advanceTimersByTimeAsync(2 * WATCH_MS);
  expect(types(service.sockets[0])).toEqual(["attach", "execute", "ping", "ping"]);
  expect(service.sockets.length).toBe(1);
  await vi.advanceTimersByTimeAsync(WATCH_MS + 5000);
  expect(service.sockets.length).toBe(2);
});

it("leaves a connection closed that breaks while nothing is awaited", async () => {
  const service = scriptedService();
  const runs = newRuns(service);
  const run = runs.start("1", {});
  await settled();
  service.sockets[0]?.open();
  service.sockets[0]?.receive(result(1, run.executionId, 1));
  await run;
  service.sockets[0]?.break();
  await pauses();
  expect(service.sockets.length).toBe(1);
  runs.start("2", {});
  await settled();
  expect(service.sockets.length).toBe(2);
});

it("takes an ending that is no longer kept from the execution's record", async () => {
  const record = { result: result(9, "run-1", 5).data, error: null, last_seq: 9 };
  const service = scriptedService((path) => Response.json(path.endsWith("/run-1") ? record : {}));
  const run = newRuns(service).start("1", { id: "run-1" });
  await settled();
  service.sockets[0]?.open();
  service.sockets[0]?.receive({ type: "gap", data: { from: 1, to: 9 } });
  expect(await run).toMatchObject({ value: 5, isTruncated: true });
});

it("fails at once with the service's refusal, which a WebSocket does not tell", async () => {
  const refusal = { type: "t", title: "t", status: 401, detail: "No token.", code: "unauthorized", request_id: "r" };
  const service = scriptedService(() => Response.json(refusal, { status: 401 }));
  const run = newRuns(service).start("1", {});
  const refused = expect(run).rejects.toMatchObject({ code: "unauthorized", requestId: "r" });
  await settled();
  service.sockets[0]?.break();
  await settled();
  await refused;
  expect(service.sockets.length).toBe(1);
});

it("goes over HTTP where the service answers and three sockets were refused", async () => {
  const lines = [output(1, "run-1", "a"), result(2, "run-1", 3)].map((event) => JSON.stringify(event)).join("\n");
  const service = scriptedService((path) => (path.endsWith("/execute") ? new Response(lines) : Response.json({})));
  const runs = newRuns(service);
  const run = runs.start("1", { id: "run-1" });
  for (const index of [0, 1, 2]) {
    await pauses();
    service.sockets[index]?.break();
    await settled();
  }
  await pauses();
  expect(await run).toMatchObject({ stdout: "a", value: 3 });
  expect(runs.connection).toBeNull();
});

it("ends the runs of a session that expired while the connection was broken", async () => {
  const service = scriptedService();
  const run = newRuns(service).start("1", {});
  const expired = expect(run).rejects.toMatchObject({ code: "not_found" });
  await settled();
  service.sockets[0]?.open();
  service.sockets[0]?.receive(output(7, run.executionId, "a"));
  service.sockets[0]?.break();
  await pauses();
  service.sockets[1]?.open();
  service.sockets[1]?.receive(attached(2));
  await expired;
});

it("answers a tool call once, though the call comes again", async () => {
  const service = scriptedService(() => Response.json({ pending_input: null, pending_tool_calls: [] }));
  const tool = vi.fn(() => 1);
  const run = newRuns(service).start("1", { tools: { f: tool } });
  const call = (seq: number, callId: string) => {
    const common = { id: "m", timestamp: 0, execution_id: run.executionId, type: "tool_call" };
    return {
      type: "tool_call",
      seq,
      data: { ...common, call_id: callId, name: "f", arguments: {}, batch: "b", timeout: 9 },
    };
  };
  await settled();
  service.sockets[0]?.open();
  service.sockets[0]?.receive(call(1, "one"));
  await settled();
  expect(service.sockets[0]?.sent.at(-1)).toMatchObject({ type: "tool_result", call_id: "one", value: 1 });
  service.sockets[0]?.break();
  await pauses();
  service.sockets[1]?.open();
  service.sockets[1]?.receive(call(1, "one"));
  // Answered by another client meanwhile: the record does not have it as pending.
  service.sockets[1]?.receive(call(2, "two"));
  await settled();
  expect(tool).toHaveBeenCalledTimes(1);
});
