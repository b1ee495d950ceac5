/** The call that asks for packages, which this service refuses. */
import { expect, it } from "vitest";
import { call, problemOf, testFront } from "../../support/front.ts";

it("refuses to install, and names what is wrong with a body first", async () => {
  const front = testFront();
  const refused = await call(front, "POST", "/api/v1/packages", { requirements: ["six"] });
  expect([refused.status, (await problemOf(refused)).code]).toEqual([403, "packages_disabled"]);
  const wrong = await call(front, "POST", "/api/v1/packages", { requirements: ["--index-url=http://x"] });
  expect([wrong.status, (await problemOf(wrong)).code]).toEqual([400, "invalid_request"]);
  expect(front.calls).toEqual([]);
});
