/** The REST calls about checkpoints and sessions: their defaults, their absent bodies, and what they ask of the object. */
import { expect, it } from "vitest";
import { CHECKPOINT, SESSION } from "../../../../src/front/routes/examples.ts";
import { call, ok, problemOf, testFront } from "../../support/front.ts";

const restored = { status: "restored", checkpoint_id: "cp-1", source: "snapshot", missing: [] };
const answers = {
  createCheckpoint: () => ok(CHECKPOINT),
  listCheckpoints: () => ok({ checkpoints: [CHECKPOINT] }),
  getCheckpoint: () => ok(CHECKPOINT),
  restore: () => ok(restored),
  getSession: () => ok(SESSION),
  listSessions: () => ok({ sessions: [SESSION] }),
  interruptSession: () => ok(SESSION),
  resetSession: () => ok(SESSION),
  complete: () => ok({ matches: ["a"], cursor_start: 0, cursor_end: 1 }),
  isComplete: () => ok({ status: "complete" }),
};

it.each<[string, string, unknown, number, string, unknown[]]>([
  ["POST", "checkpoint", undefined, 201, "createCheckpoint", ["default", undefined]],
  ["POST", "checkpoint", {}, 201, "createCheckpoint", ["default", undefined]],
  ["POST", "checkpoint?session=q", { name: "n" }, 201, "createCheckpoint", ["q", "n"]],
  ["POST", "checkpoint?session=q", { session: "b" }, 201, "createCheckpoint", ["b", undefined]],
  ["GET", "checkpoints", undefined, 200, "listCheckpoints", [undefined]],
  ["GET", "checkpoints?session=s", undefined, 200, "listCheckpoints", ["s"]],
  ["GET", "checkpoints/cp-1", undefined, 200, "getCheckpoint", ["cp-1"]],
  ["DELETE", "checkpoints/cp-1", undefined, 204, "deleteCheckpoint", ["cp-1"]],
  ["POST", "restore/cp-1", undefined, 200, "restore", ["default", "cp-1", true]],
  ["POST", "restore/cp-1", { clear_existing: false, session: "s" }, 200, "restore", ["s", "cp-1", false]],
  ["GET", "session", undefined, 200, "getSession", ["default"]],
  ["GET", "session?session=s", undefined, 200, "getSession", ["s"]],
  ["GET", "sessions", undefined, 200, "listSessions", []],
  ["POST", "session/interrupt", undefined, 202, "interruptSession", ["default"]],
  ["POST", "session/interrupt", { session: "s" }, 202, "interruptSession", ["s"]],
  ["POST", "session/reset?session=q", undefined, 202, "resetSession", ["q"]],
  ["DELETE", "session", undefined, 204, "deleteSession", ["default", false]],
  ["DELETE", "session?purge=true&session=s", undefined, 204, "deleteSession", ["s", true]],
  ["POST", "complete", { code: "a", cursor: 1 }, 200, "complete", ["default", "a", 1]],
  ["POST", "is-complete", { code: "a", session: "s" }, 200, "isComplete", ["s", "a"]],
])("%s %s with %j", async (method, path, body, status, asked, args) => {
  const front = testFront({}, answers);
  const response = await call(front, method, `/api/v1/${path}`, body);
  expect(response.status).toBe(status);
  expect(front.calls).toMatchObject([{ object: '["anonymous","ada"]', method: asked }]);
  expect(front.calls[0]?.args.slice(1)).toEqual(args);
  if (status === 204) expect(await response.text()).toBe("");
});

it.each<[string, string, unknown, string]>([
  ["POST", "checkpoint", { name: "" }, "name"],
  ["POST", "checkpoint", { name: "x".repeat(129) }, "name"],
  ["POST", "checkpoint", { session: "a b" }, "session"],
  ["POST", "restore/cp-1", { clear_existing: "no" }, "clear_existing"],
  ["GET", `session?session=${"s".repeat(65)}`, undefined, "session"],
  ["DELETE", "session?purge=perhaps", undefined, "purge"],
  ["POST", "session/reset", { session: 1 }, "session"],
  ["POST", "complete", { code: "a" }, "cursor"],
  ["POST", "complete", { code: "a", cursor: -1 }, "cursor"],
  ["POST", "complete", { code: "a", cursor: 1.5 }, "cursor"],
  ["POST", "is-complete", {}, "code"],
])("%s %s with %j is refused by the path %s", async (method, path, body, field) => {
  const front = testFront({}, answers);
  const response = await call(front, method, `/api/v1/${path}`, body);
  expect(response.status).toBe(400);
  const problem = await problemOf(response);
  expect([problem.code, problem.errors[0].path]).toEqual(["invalid_request", field]);
  expect(front.calls).toEqual([]);
});

it("has no checkpoint under a name that none can have", async () => {
  const front = testFront({}, answers);
  for (const id of ["%2E%2E%2Fx", "-x", "x".repeat(129), "a%00b", "%F0%9F%98%80"]) {
    for (const [method, path] of [
      ["GET", "checkpoints"],
      ["DELETE", "checkpoints"],
      ["POST", "restore"],
    ] as const) {
      const response = await call(front, method, `/api/v1/${path}/${id}`);
      expect([response.status, (await problemOf(response)).code]).toEqual([404, "not_found"]);
    }
  }
  expect(front.calls).toEqual([]);
});
