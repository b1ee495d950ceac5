/** The package that `npm pack` makes, unpacked in a fresh project beside its dependencies alone: what it exports works, and is typed. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runStep } from "../../scripts/run-step.ts";
import { freePort, type Product, startProduct } from "../support/product.ts";

/** Half of it are the console and the documentation of the calls, compressed. */
const MAX_PACKED_BYTES = 1_600_000;
const READY_MS = 60_000;

let product: Product;
let packed: { size: number; files: { path: string }[] };
const folder = mkdtempSync(join(tmpdir(), "pyrepl3-package-"));
const installed = join(folder, "node_modules/pyrepl3");

beforeAll(async () => {
  const answer = execFileSync("npm", ["pack", "--json", "--pack-destination", folder], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [entry] = JSON.parse(answer.slice(answer.indexOf("[\n"))) as [typeof packed & { filename: string }];
  packed = entry;
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, entry.filename), "-C", installed, "--strip-components=1"]);
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  for (const name of [...Object.keys(dependencies), "@types/node", "undici-types"]) {
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(process.cwd(), "node_modules", name), link);
  }
  mkdirSync(join(folder, "node_modules/.bin"));
  symlinkSync("../pyrepl3/dist/src/cli/main.js", join(folder, "node_modules/.bin/pyrepl3"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function runModule(code: string, node = process.execPath): Promise<string> {
  writeFileSync(join(folder, "main.js"), code);
  const { exitCode, printed } = await runStep(node, [join(folder, "main.js")]);
  expect(exitCode, printed).toBe(0);
  return printed;
}

it("holds no TypeScript but types, no tests, and not too many bytes", () => {
  const paths = packed.files.map(({ path }) => path);
  expect(paths.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))).toEqual([]);
  expect(paths.filter((path) => !/^(dist\/|package\.json$|LICENSE$|README\.md$|CHANGELOG\.md$)/.test(path))).toEqual(
    [],
  );
  expect(packed.size).toBeLessThan(MAX_PACKED_BYTES);
});

it("offers the client", async () => {
  const printed = await runModule(`import { connect } from "pyrepl3/client";
const python = connect({ url: "${product.url}" });
console.log((await python.run("6 * 7")).value);
await python.endSession({ purge: true });
python.close();`);
  expect(printed).toBe("42\n");
});

it("offers the client to the Node that npm runs on, which may be older", async () => {
  const folders = (process.env.PATH ?? "").split(":").filter((path) => !path.includes("node_modules"));
  const node = folders.map((path) => join(path, "node")).find((path) => existsSync(path)) ?? "node";
  const printed = await runModule(
    `import { connect } from "pyrepl3/client";
import { WebSocket } from "ws";
for (const socket of [WebSocket, null]) {
  const python = connect({ url: "${product.url}", WebSocket: socket });
  const { value } = await python.run("input()", { onInput: ({ input_id: id }) => typeof id });
  console.log(value);
  await python.endSession({ purge: true });
  python.close();
}`,
    node,
  );
  expect(printed).toBe("string\nstring\n");
});

it("offers the contract", async () => {
  const printed = await runModule(`import { ClientMessage } from "pyrepl3/protocol";
console.log(ClientMessage.parse({ type: "execute", code: "1" }).transaction_policy);`);
  expect(printed).toBe("commit_always\n");
});

it("offers the local library", { tags: "bubblewrap" }, async () => {
  const printed = await runModule(`import { SessionPool } from "pyrepl3";
const pool = new SessionPool({ minIdle: 1 });
await pool.start();
const session = await pool.acquire();
for await (const { type, data } of session.execute({ code: "6 * 7" })) console.log(type, data.value);
await pool.release(session);
await pool.shutdown();`);
  expect(printed).toBe("result 42\n");
});

it("brings the command line", async () => {
  const { bin } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  const main = join(installed, bin.pyrepl3);
  const { exitCode, printed } = await runStep(main, ["run", "--url", product.url, "-c", "6 * 7"]);
  expect(printed).toBe("42\n");
  expect(exitCode).toBe(0);
});

it("starts the service", async () => {
  const [port, runnerPort] = [await freePort(), await freePort()];
  const service = spawn("npx", ["--no", "pyrepl3", "serve", "--port", `${port}`], {
    cwd: folder,
    env: { ...process.env, RUNNER_PORT: `${runnerPort}`, XDG_STATE_HOME: join(folder, "state"), POOL_MIN_IDLE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const ended = new Promise<number | null>((resolve) => service.once("close", resolve));
  try {
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the service is not ready:\n${log}`)), READY_MS);
      for (const stream of [service.stdout, service.stderr]) {
        stream.on("data", (piece: Buffer) => {
          log += piece.toString();
          if (!log.includes("PyREPL3 is ready")) return;
          clearTimeout(late);
          resolve();
        });
      }
      void ended.then(() => reject(new Error(`the service ended:\n${log}`)));
    });
    const url = `http://127.0.0.1:${port}`;
    const answer = await fetch(`${url}/api/v1/execute?wait=20`, {
      method: "POST",
      headers: { "client-id": "ada" },
      body: '{"code": "6 * 7"}',
    });
    expect(await answer.json()).toMatchObject({ status: "succeeded", result: { value: 42 } });
    for (const page of ["", "docs", "openapi.json"]) expect((await fetch(`${url}/${page}`)).status).toBe(200);
    expect(existsSync(join(folder, "state/pyrepl3/service/secrets.json"))).toBe(true);
  } finally {
    service.kill("SIGTERM");
    await ended;
  }
  expect(log).toContain("stopped; the next start finds every session again");
});

it("has types that a strict project compiles", async () => {
  writeFileSync(
    join(folder, "main.ts"),
    `import { SessionPool } from "pyrepl3";
import { connect, type Outcome } from "pyrepl3/client";
import type { ServerMessage } from "pyrepl3/protocol";
export const outcome: Promise<Outcome> = connect({ url: "http://127.0.0.1" }).run("1").orThrow();
export const type: ServerMessage["type"] = "result";
// @ts-expect-error A pool is not made of a name.
export const pool = new SessionPool("name");
`,
  );
  const settings = [
    "--ignoreConfig",
    "--strict",
    "--noEmit",
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--skipLibCheck",
    "--types",
    "node",
  ];
  const { exitCode, printed } = await runStep("node_modules/.bin/tsc", [...settings, join(folder, "main.ts")]);
  expect(exitCode, printed).toBe(0);
});
