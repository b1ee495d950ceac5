/**
 * Runs the Dockerfile's steps in a root made by debootstrap, and the runner in it as Docker would by default: an ordinary user, no added
 * capability, the default seccomp profile. It needs root, debootstrap and the network:
 *   npx node test/deploy/check-image.ts [--base FOLDER] [--no-attacks]
 */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { childrenOf } from "../../worker-runner/sandbox/process-tree.ts";
import type { Report } from "../attacks/run-catalogue.ts";
import { startPackageIndex, type TestIndex } from "../support/package-index.ts";
import { freePort, type Product, startProduct } from "../support/product.ts";
import { ContainerRoot, endOf } from "./image/container-root.ts";

const RUNNER_TOKEN = "r".repeat(32);
const REGISTER_MS = 60_000;
const INSTALL_MS = 120_000;

const { values } = parseArgs({ options: { base: { type: "string" }, "no-attacks": { type: "boolean" } } });
const tell = (line: string) => console.log(line);

if (process.getuid?.() !== 0) {
  console.error("Making the root takes root: sudo npx node test/deploy/check-image.ts");
  process.exit(2);
}

/** Starts the image's own command, and waits until it is registered. @returns its processes. */
async function startRunner(root: ContainerRoot, edgeUrl: string, index: TestIndex): Promise<ChildProcess> {
  const port = await freePort();
  const child = root.start(root.image.command, {
    RUNNER_TOKEN,
    RUNNER_ID: "in-the-image",
    EDGE_URL: edgeUrl,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    RUNNER_PORT: String(port),
    PACKAGE_INDEX_URL: index.url,
  });
  let log = "";
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the runner ${why}:\n${log}`));
    const late = setTimeout(() => fail("does not register"), REGISTER_MS);
    const collect = (piece: Buffer) => {
      log += piece.toString();
      if (!log.includes("registered with the edge")) return;
      clearTimeout(late);
      resolve();
    };
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", collect);
    child.once("exit", (code) => fail(`ended with ${code}`));
  });
  return child;
}

/** The rights of the runner's process, as the kernel tells them. */
function checkRights(unshare: ChildProcess): number {
  const [pid = 0] = childrenOf(unshare.pid ?? 0);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  assert.match(status, /^Uid:\t1000\t1000\t1000\t1000$/m);
  assert.match(status, /^CapEff:\t0{16}$/m);
  assert.match(status, /^Seccomp:\t2$/m);
  tell(
    `the runner is uid 1000 without capabilities, ${/^CapBnd:.*$/m.exec(status)?.[0].replace("\t", " ")}, under seccomp`,
  );
  return pid;
}

/** Uses each part of the service once. */
async function useService(product: Product): Promise<void> {
  const call = async (method: string, path: string, body?: string) => {
    const answer = await fetch(`${product.url}/api/v1${path}`, {
      method,
      headers: { "client-id": "ada" },
      ...(body === undefined ? {} : { body }),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text;
  };
  const json = async (...args: Parameters<typeof call>) => JSON.parse(await call(...args));
  const resultOf = async (code: string) =>
    (await json("POST", "/execute?wait=60", JSON.stringify({ code }))).result?.value as unknown;

  const { sandbox, python, limits } = await json("GET", "/capabilities");
  assert.deepEqual([sandbox.kind, sandbox.isolated, sandbox.network], ["landlock", true, false]);
  tell(
    `capabilities: Python ${python.version}, sandbox ${sandbox.kind}, workspace ${limits.workspace_bytes.mechanism}`,
  );
  assert.equal(await resultOf("import numpy, sys\nint(numpy.arange(7).sum()) * 2"), 42);
  tell("execute: 42, with numpy");
  await call("PUT", "/files/content?path=data.txt", "from outside");
  assert.equal(await resultOf("open('data.txt').read() + ', read inside'"), "from outside, read inside");
  assert.equal(await resultOf("open('back.txt', 'w').write('from inside')"), 11);
  assert.equal(await call("GET", "/files/content?path=back.txt"), "from inside");
  tell("files: written and read from either side");
  const { execution_id: id } = await json("POST", "/packages", JSON.stringify({ requirements: ["greeting==1.0"] }));
  const deadline = Date.now() + INSTALL_MS;
  let installed = await json("GET", `/executions/${id}`);
  while (installed.status === "running" && Date.now() < deadline) {
    await sleep(200);
    installed = await json("GET", `/executions/${id}`);
  }
  assert.equal(installed.status, "succeeded", JSON.stringify(installed));
  assert.equal(await resultOf("import greeting; greeting.text"), "hello");
  tell("packages: installed from an index, and imported");
}

/** The attacks on what keeps sessions apart, inside the root, against the sandbox that the runner takes there. */
async function attack(root: ContainerRoot): Promise<void> {
  const environment = { ATTACK_GRADES: "landlock", PYTHON: "/usr/bin/python3" };
  const child = root.start(["node", "test/attacks/run-catalogue.ts"], environment, { showTests: true });
  const reports: Report[] = [];
  let said = "";
  child.stderr?.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  if (child.stdout === null) throw new Error("no output");
  createInterface(child.stdout).on("line", (line) => reports.push(JSON.parse(line)));
  assert.equal(await endOf(child), 0, said);
  const failed = reports.filter(({ failure }) => failure !== null);
  for (const { name, failure } of failed) tell(`NOT CONTAINED ${name}: ${failure}`);
  assert.equal(failed.length, 0);
  assert.ok(reports.length > 40, `only ${reports.length} attacks ran`);
  tell(`attacks: ${reports.length} of ${reports.length} contained`);
}

const folder = mkdtempSync("/tmp/pyrepl3-image-root-");
let index: TestIndex | null = null;
let product: Product | null = null;
let runner: ChildProcess | null = null;
try {
  const root = await ContainerRoot.build(folder, values.base, tell);
  const packages = await startPackageIndex([{ name: "greeting", version: "1.0", module: "text = 'hello'" }]);
  index = packages;
  product = await startProduct(
    { RUNNERS: "0", RUNNER_TOKEN },
    {
      async whenListening(url) {
        runner = await startRunner(root, url, packages);
        tell("the runner has started and registered");
      },
    },
  );
  const started = runner as ChildProcess | null;
  if (started === null) throw new Error("there is no runner");
  const pid = checkRights(started);
  await useService(product);
  const ended = endOf(started);
  process.kill(pid, "SIGTERM");
  assert.equal(await ended, 0);
  tell("SIGTERM: drained, exit code 0");
  if (!values["no-attacks"]) await attack(root);
} finally {
  (runner as ChildProcess | null)?.kill("SIGKILL");
  await product?.stop();
  await index?.close();
  rmSync(folder, { recursive: true, force: true });
}
