/** Packages with everything real: installed over REST, and there again after the runner was killed and after a restore. */
// @module-tag pip
import { afterEach, expect, it } from "vitest";
import { startPackageIndex, type TestIndex } from "../support/package-index.ts";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";

let product: Product;
let index: TestIndex;
afterEach(async () => {
  await product?.stop();
  await index?.close();
});

async function call(method: string, path: string, body?: unknown) {
  const answer = await fetch(`${product.url}/api/v1${path}`, {
    method,
    headers: { "client-id": "packer" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
  const told: any = await answer.json();
  return { status: answer.status, body: told };
}

const resultOf = async (code: string) => (await call("POST", "/execute?wait=30", { code })).body.result?.value;

/** Waits until an execution has ended. */
async function ended(id: string) {
  let execution = (await call("GET", `/executions/${id}`)).body;
  await expect
    .poll(
      async () => {
        execution = (await call("GET", `/executions/${id}`)).body;
        return execution.status;
      },
      { timeout: 60_000, interval: 200 },
    )
    .not.toBe("running");
  return execution;
}

it("installs a package that survives the loss of the runner, and comes back with a checkpoint", async () => {
  index = await startPackageIndex([{ name: "greeting", version: "1.0", module: "text = 'hello'" }]);
  product = await startProduct({
    PACKAGE_INDEX_URL: index.url,
    PACKAGE_INDEX_SECONDS: "4",
    AUTOSAVE_SECONDS: "0.3",
    LINK_IDLE_SECONDS: "120",
  });
  expect((await call("GET", "/capabilities")).body.packages).toEqual({ enabled: true });
  const accepted = await call("POST", "/packages", { requirements: ["greeting==1.0"] });
  expect(accepted).toMatchObject({ status: 202, body: { status: "running", session: "default" } });
  const execution = await ended(accepted.body.execution_id);
  expect(execution).toMatchObject({ status: "succeeded", code: "%pip install greeting==1.0" });
  expect(execution.stdout).toContain("Successfully installed greeting-1.0");
  expect(await resultOf("import greeting; greeting.text")).toBe("hello");
  expect((await call("GET", "/session")).body.packages).toEqual(["greeting==1.0"]);
  const { checkpoint_id: checkpoint } = (await call("POST", "/checkpoint")).body;

  await expect.poll(async () => (await call("GET", "/session")).body.saved?.is_current, { timeout: 20_000 }).toBe(true);
  for (const pid of findProcesses(product.pid, "worker-runner/main.ts")) process.kill(pid, "SIGKILL");
  await expect.poll(() => resultOf("greeting.text"), { timeout: 60_000, interval: 500 }).toBe("hello");
  expect((await call("GET", "/session")).body.packages).toEqual(["greeting==1.0"]);

  const restored = await call("POST", `/restore/${checkpoint}`, { session: "second" });
  expect(restored.body).toMatchObject({ status: "restored", missing: [] });
  expect((await call("POST", "/execute?wait=30", { code: "greeting.text", session: "second" })).body.result.value).toBe(
    "hello",
  );
  index.hang();
  const hung = await call("POST", "/packages", { requirements: ["greeting==2.0"] });
  expect((await ended(hung.body.execution_id)).error).toMatchObject({
    exception_type: "PackageError",
    exception_message: expect.stringContaining("did not answer within 4 s"),
  });
}, 120_000);

it("answers 403 without an index", async () => {
  product = await startProduct();
  const refused = await call("POST", "/packages", { requirements: ["greeting"] });
  expect([refused.status, refused.body.code]).toEqual([403, "packages_disabled"]);
});
