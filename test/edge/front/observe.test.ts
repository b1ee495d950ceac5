/** What the front notes of a request: its id, its place in a trace, and its metrics. */
import { expect, it } from "vitest";
import { formatTraceparent, parseTraceparent } from "../../../src/protocol/trace.ts";
import { call, ok, problemOf, testFront } from "../support/front.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const front = (variables = {}) => testFront(variables, { listSessions: () => ok({ sessions: [] }) });

it("takes the caller's request id, answers with it, and passes it on", async () => {
  const seen = front();
  const answer = await call(seen, "GET", "/api/v1/sessions", undefined, { "x-request-id": "deploy-42.a_b" });
  expect(answer.headers.get("x-request-id")).toBe("deploy-42.a_b");
  expect(seen.calls[0]?.args[0]).toMatchObject({ requestId: "deploy-42.a_b" });
});

it.each(["short", "a b c d e f g", "x".repeat(129), 'quo"te-quo"te', ""])(
  "makes an id in place of %j",
  async (given) => {
    const answer = await call(front(), "GET", "/api/v1/nothing-here", undefined, { "x-request-id": given });
    const id = answer.headers.get("x-request-id");
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect((await problemOf(answer)).request_id).toBe(id);
  },
);

it("passes the caller's trace on as it is if it sends no traces itself, and drops what is none", async () => {
  for (const [given, passed] of [
    [TRACEPARENT, TRACEPARENT],
    ["00-nonsense-01", undefined],
  ]) {
    const seen = front();
    await call(seen, "GET", "/api/v1/sessions", undefined, { traceparent: given });
    expect((seen.calls[0]?.args[0] as { traceparent?: string } | undefined)?.traceparent).toBe(passed);
  }
});

it.each<[string, boolean | null]>([
  [TRACEPARENT, true],
  [TRACEPARENT.replace(/01$/, "00"), false],
  [TRACEPARENT.replace(/01$/, "03"), true],
  [`cc${TRACEPARENT.slice(2)}-later`, true],
  [`${TRACEPARENT}-extra`, null],
  [`ff${TRACEPARENT.slice(2)}`, null],
  [TRACEPARENT.replace(TRACE, "0".repeat(32)), null],
  [TRACEPARENT.replace("b7ad6b7169203331", "0".repeat(16)), null],
  [TRACEPARENT.toUpperCase(), null],
  ["", null],
  // A runner would refuse the frame that has it, again and again.
  [`cc${TRACEPARENT.slice(2)}-${"x".repeat(256)}`, null],
])("reads the traceparent %j as the standard says", (text, isSampled) => {
  const context = parseTraceparent(text);
  expect(context?.isSampled ?? null).toBe(isSampled);
  if (context !== null) expect(formatTraceparent(context).slice(3, 52)).toBe(text.slice(3, 52));
});

it("gives metrics to callers with the secret only", async () => {
  const read = (token: string, variables = {}) =>
    front(variables).fetch("/metrics", { headers: token === "" ? {} : { authorization: `Bearer ${token}` } });
  for (const token of ["", "wrong-wrong-wrong-wrong"]) expect((await read(token)).status).toBe(401);
  const fixed = { RUNNER_URL: "http://127.0.0.1:1", METRICS_TOKEN: "m".repeat(20) };
  expect((await read("m".repeat(20))).status).toBe(401);
  for (const token of ["m".repeat(20), "r".repeat(32)]) {
    const answer = await read(token, fixed);
    expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    const text = await answer.text();
    expect(text).toContain('pyrepl_edge_requests_total{method="GET",route="/api/v1/sessions",status="200"}');
    expect(text).toMatch(/^pyrepl_edge_request_seconds_bucket\{le="\+Inf"\} \d+$/m);
    expect(text).toContain('pyrepl_edge_problems_total{code="unauthorized"}');
    for (const state of ["ready", "broken"]) expect(text).toContain(`pyrepl_fleet_runners{state="${state}"} 0`);
  }
});
