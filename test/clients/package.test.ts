/** The package that `npm pack` makes, unpacked in a fresh project beside its dependencies alone: what it exports works, and is typed. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runStep } from "../../scripts/run-step.ts";
import { type Product, startProduct } from "../support/product.ts";

const MAX_PACKED_BYTES = 400_000;

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
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function runModule(code: string): Promise<string> {
  writeFileSync(join(folder, "main.js"), code);
  const { exitCode, printed } = await runStep(process.execPath, [join(folder, "main.js")]);
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
