/** Sessions as resources with everything real: environments, variables of the environment, and what code has bound. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { testPython } from "../../scripts/python-tests.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

let product: Product;
afterEach(async () => {
  await product?.stop();
});

const clientId = "owner";

async function call(method: string, path: string, body?: unknown) {
  const answer = await fetch(`${product.url}/api/v1${path}`, {
    method,
    headers: { "client-id": clientId, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
}

/** Whether any file of the state folder has the text. */
async function isStored(text: string): Promise<boolean> {
  const entries = await readdir(product.stateDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(files.map(async (file) => (await readFile(file)).includes(text)));
  return found.includes(true);
}

it("gives variables to the code and to nobody else, across a checkpoint and a restart of the interpreter", async () => {
  product = await startProduct();
  const secret = `secret-${crypto.randomUUID()}`;
  expect((await call("PUT", "/sessions/work", { env: { API_TOKEN: secret } })).status).toBe(201);
  const client = await SocketClient.open(product.socketUrl, { clientId, session: "work" });
  const reads = "import os, subprocess\nlen(os.environ['API_TOKEN']) == len(subprocess.getoutput('echo $API_TOKEN'))";
  expect(await client.value(reads)).toBe(true);
  client.send({ type: "checkpoint" });
  await client.until(({ type }) => type === "checkpoint_created");
  client.send({ type: "reset", id: "reset" });
  await client.until(({ id }) => id === "reset");
  expect(await client.value(reads)).toBe(true);
  expect((await call("PUT", "/sessions/work", { env: { API_TOKEN: null, OTHER: "1" } })).body).toMatchObject({
    env_names: ["OTHER"],
  });
  expect(await client.value("import os\n[os.environ.get('API_TOKEN'), os.environ['OTHER']]")).toEqual([null, "1"]);
  expect(await isStored(secret)).toBe(false);
  expect(product.log()).not.toContain(secret);
  expect(JSON.stringify(client.frames)).not.toContain(secret);
  await client.close();
});

it("runs a session in the environment that it names, and lists what there is", { tags: "numpy" }, async () => {
  product = await startProduct({ ENVIRONMENTS: `second=${testPython()}:numpy` });
  const { environments } = (await call("GET", "/environments")).body as {
    environments: { name: string; default: boolean; preload: string[]; packages: { name: string }[] }[];
  };
  expect(environments.map(({ name, default: isDefault }) => [name, isDefault])).toEqual([
    ["default", true],
    ["second", false],
  ]);
  expect(environments[1]?.preload).toEqual(["numpy"]);
  expect(environments[1]?.packages.length).toBeGreaterThan(0);
  const client = await SocketClient.open(`${product.socketUrl}?environment=second`, { clientId, session: "two" });
  expect(await client.value("import sys\n'numpy' in sys.modules")).toBe(true);
  expect((await call("GET", "/sessions/two")).body).toMatchObject({ environment: "second", saved: null });
  expect((await call("PUT", "/sessions/two", { environment: "default" })).status).toBe(409);
  expect((await call("DELETE", "/sessions/two")).status).toBe(204);
  expect((await call("PUT", "/sessions/two", { environment: "default" })).status).toBe(200);
  expect(await client.value("import sys\n'numpy' in sys.modules")).toBe(false);
  await client.close();
});

it("lists what code has bound, whatever its texts do", async () => {
  product = await startProduct();
  const client = await SocketClient.open(product.socketUrl, { clientId });
  await client.value("class Hangs:\n  def __repr__(self):\n    while True: pass\nx = 42\nhangs = Hangs()\n1");
  client.send({ type: "variables", id: "v" });
  const { data } = await client.until(({ type }) => type === "variables");
  expect(data.variables.slice(0, 2)).toMatchObject([
    { name: "hangs", type: "Hangs", repr: "<Hangs object>", is_callable: false },
    { name: "x", type: "int", repr: "42" },
  ]);
  const rest = await call("GET", "/session/variables");
  expect(rest.body).toMatchObject({ truncated: false });
  expect(await client.value("x")).toBe(42);
  await client.close();
});
