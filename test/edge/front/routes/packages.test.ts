/** The call that installs packages: refused if the runner has no index, otherwise an execution of `%pip install`. */
import { afterEach, expect, it, vi } from "vitest";
import { CAPABILITIES } from "../../../../src/front/routes/examples.ts";
import { call, ok, problemOf, testFront } from "../../support/front.ts";

afterEach(() => vi.unstubAllGlobals());

const ACCEPTED = { execution_id: "run-1", status: "running", session: "work" };

function frontWith(enabled: boolean) {
  vi.stubGlobal("fetch", async () => Response.json({ ...CAPABILITIES, packages: { enabled } }));
  return testFront({ RUNNER_URL: "http://fixed.test:1" }, { execute: () => ok(ACCEPTED) });
}

it("refuses where the runner has no index, and names what is wrong with a body first", async () => {
  const front = frontWith(false);
  const refused = await call(front, "POST", "/api/v1/packages", { requirements: ["six"] });
  expect([refused.status, (await problemOf(refused)).code]).toEqual([403, "packages_disabled"]);
  const wrong = await call(front, "POST", "/api/v1/packages", { requirements: ["--index-url=http://x"] });
  expect([wrong.status, (await problemOf(wrong)).code]).toEqual([400, "invalid_request"]);
  expect(front.calls).toEqual([]);
});

it("runs the command in the session, with as much time as an execution may have", async () => {
  const front = frontWith(true);
  const requirements = ["six==1.17.0", "a[b]>=1", "c; python_version < '4'"];
  const accepted = await call(front, "POST", "/api/v1/packages", { requirements, session: "work" });
  expect([accepted.status, accepted.headers.get("location")]).toEqual([202, "/api/v1/executions/run-1"]);
  expect(await accepted.json()).toEqual(ACCEPTED);
  expect(front.calls[0]?.args[1]).toMatchObject({
    code: `%pip install six==1.17.0 a[b]>=1 'c; python_version < '"'"'4'"'"''`,
    session: "work",
    timeout: 300,
  });
});

it("says so where no runner is there to ask", async () => {
  const answer = await call(testFront(), "POST", "/api/v1/packages", { requirements: ["six"] });
  expect([answer.status, (await problemOf(answer)).code]).toEqual([503, "no_runner"]);
});
