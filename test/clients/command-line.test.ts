/** The command line against everything real: exit codes, streams, questions, Ctrl-C, lists. `prompt.test.ts` is about the prompt. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runStep } from "../../scripts/run-step.ts";
import { type Product, startProduct } from "../support/product.ts";
import { type Cli, startCli } from "./start-cli.ts";

let product: Product;
let folder: string;
let clients = 0;
beforeAll(async () => {
  product = await startProduct();
  folder = await mkdtemp(join(tmpdir(), "pyrepl3-cli-"));
}, 60_000);
afterAll(async () => {
  await product?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

/** The variables of a user whom no test before has been. */
function newUser(): Record<string, string> {
  clients += 1;
  return { PYREPL3_URL: product.url, PYREPL3_CLIENT_ID: `cli-${clients}`, XDG_STATE_HOME: join(folder, `${clients}`) };
}

async function run(args: string[], env = newUser(), input = ""): Promise<{ code: number | null; cli: Cli }> {
  const cli = startCli(args, { env });
  cli.write(input);
  cli.end();
  return { code: await cli.ended, cli };
}

it("runs code, prints its streams apart and the value of its last expression", async () => {
  const { code, cli } = await run(["run", "-c", "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7"]);
  expect({ code, stdout: cli.stdout, stderr: cli.stderr }).toEqual({ code: 0, stdout: "out\n42\n", stderr: "err\n" });
});

it("runs a file, and answers input() from its own standard input", async () => {
  const file = join(folder, "greet.py");
  await writeFile(
    file,
    "name = input('Who? ')\nprint('Hello', name)\ntry:\n    input()\nexcept EOFError:\n    print('end')\n",
  );
  const { code, cli } = await run(["run", file], newUser(), "Ada\n");
  expect({ code, stdout: cli.stdout }).toEqual({ code: 0, stdout: "Who? Hello Ada\nend\n" });
});

it("runs standard input", async () => {
  const { code, cli } = await run(["run", "-"], newUser(), "print(sum(range(5)))\n7");
  expect({ code, stdout: cli.stdout }).toEqual({ code: 0, stdout: "10\n" });
});

it.each([
  ["1 / 0", [], 1, "ZeroDivisionError: division by zero"],
  ["import sys; sys.exit(3)", [], 3, ""],
  ["import sys; sys.exit('no such thing')", [], 1, "no such thing"],
  ["while True: pass", ["--timeout", "1"], 124, "ended by timeout"],
])("ends %j with its exit code", async (code, args, exitCode, message) => {
  const { code: ended, cli } = await run(["run", "-c", code, ...args]);
  expect(cli.stderr).toContain(message);
  expect(ended).toBe(exitCode);
});

it("prints each event as a line of JSON", async () => {
  const { code, cli } = await run(["run", "--json", "-c", "print('x')\ninput('? ')"], newUser(), "1\n");
  const events = cli.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const types = events.map(({ type }) => type);
  // A busy machine may send one print in several events.
  expect(types.filter((type, index) => type !== types[index - 1])).toEqual(["output", "input", "result"]);
  expect(code).toBe(0);
});

it("interrupts the code at Ctrl-C", async () => {
  const cli = startCli(["run", "-c", "print('on', flush=True)\nwhile True: pass"], { env: newUser() });
  await cli.see("on\n");
  cli.interrupt();
  expect(await cli.ended).toBe(130);
  expect(cli.stderr).toContain("KeyboardInterrupt");
});

it("cancels code whose output nobody reads any more", async () => {
  const user = newUser();
  const command = [
    process.execPath,
    "src/cli/main.ts",
    "run",
    "-c",
    "import itertools\nfor i in itertools.count(): print(i)",
  ];
  const piped = '"$@" | head -n 2; exit $PIPESTATUS';
  const env = { ...process.env, ...user };
  const { exitCode, printed } = await runStep("bash", ["-c", piped, "bash", ...command], { env });
  expect({ exitCode, printed }).toEqual({ exitCode: 141, printed: "0\n1\n" });
  // Only code that is over lets the next one begin.
  expect((await run(["run", "-c", "'next'"], user)).cli.stdout).toBe("'next'\n");
  const listed = await run(["executions", "--json"], user);
  expect(JSON.parse(listed.cli.stdout).map(({ status }: { status: string }) => status)).toEqual([
    "succeeded",
    "cancelled",
  ]);
});

it("says what is wrong with a call, in one line", async () => {
  const both = await run(["run", "x.py", "-c", "1"]);
  expect(both.code).toBe(2);
  expect(both.cli.stderr).toContain("only one of them");
  const absent = await run(["run", join(folder, "absent.py")]);
  expect(absent.code).toBe(2);
  expect(absent.cli.stderr).toMatch(/^pyrepl3: \/.*absent\.py cannot be read: there is no such file\n$/);
  const address = await run(["run", "--url", "localhost:8787", "-c", "1"]);
  expect(address.code).toBe(2);
  expect(address.cli.stderr).toContain("It must be an address such as http://127.0.0.1:8787.");
  const nobody = await run(["run", "--url", "http://127.0.0.1:9", "-c", "1"]);
  expect(nobody.code).toBe(69);
  expect(nobody.cli.stderr).toMatch(
    /^pyrepl3: http:\/\/127\.0\.0\.1:9 does not answer\. \[unreachable\] Is the service running/,
  );
  const lost = await run(["checkpoints", "restore", "nothing"]);
  expect(lost.code).toBe(69);
  expect(lost.cli.stderr).toContain("[not_found]");
});

it("saves, lists and restores checkpoints, and lists sessions and executions", async () => {
  const user = newUser();
  await run(["run", "-c", "x = 1"], user);
  const id = (await run(["checkpoints", "create", "first"], user)).cli.stdout.trim();
  await run(["run", "-c", "x = 2"], user);
  expect((await run(["checkpoints"], user)).cli.stdout).toMatch(new RegExp(`^CHECKPOINT .*\\n${id} +first `));
  expect((await run(["checkpoints", "restore", id], user)).code).toBe(0);
  expect((await run(["run", "-c", "x"], user)).cli.stdout).toBe("1\n");
  expect((await run(["sessions"], user)).cli.stdout).toMatch(/^SESSION .*\ndefault +ready /);
  expect((await run(["executions", "--limit", "2"], user)).cli.stdout).toMatch(
    /^EXECUTION .*\n.* {2}x\n.* {2}x = 2\n$/,
  );
  expect((await run(["sessions", "end", "--purge"], user)).code).toBe(0);
  expect(JSON.parse((await run(["executions", "--json"], user)).cli.stdout)).toEqual([]);
});

it("makes a token that the secret verifies", async () => {
  const secret = "a secret of thirty-two bytes, or more";
  const { cli } = await run(["token", "--subject", "ada", "--lifetime", "10m", "--claim", "role=tutor"], {
    JWT_SECRET: secret,
  });
  const { payload } = await jwtVerify(cli.stdout.trim(), new TextEncoder().encode(secret));
  expect(payload).toMatchObject({ sub: "ada", role: "tutor" });
  const { exp = 0, iat = 0 } = decodeJwt(cli.stdout.trim());
  expect(exp - iat).toBe(600);
  const narrow = ["--only-client", "a-*", "b", "--only-sessions", "2", "--only-rate", "1.5", "--read-only"];
  const narrowed = await run(["token", "--subject", "ada", ...narrow], { JWT_SECRET: secret });
  expect(decodeJwt(narrowed.cli.stdout.trim()).pyrepl).toEqual({
    client_id: ["a-*", "b"],
    sessions: 2,
    rate: 1.5,
    read_only: true,
  });
  for (const wrong of [
    ["--only-sessions", "1.5"],
    ["--only-rate", "0"],
    ["--only-client", "a b"],
  ]) {
    expect((await run(["token", "--subject", "ada", ...wrong], { JWT_SECRET: secret })).code).toBe(2);
  }
  const refused = await run(["token", "--subject", "ada"], { JWT_SECRET: "" });
  expect(refused.code).toBe(2);
  expect(refused.cli.stderr).toContain("JWT_SECRET is not set");
});

it("reads a prompt's lines from a pipe", async () => {
  const { code, cli } = await run(
    ["repl"],
    newUser(),
    "for i in range(2):\n    print(i)\n\nname = input('? ')\nAda\nname\n%checkpoint\nexit(4)\n1\n",
  );
  expect(code).toBe(4);
  expect(cli.stdout).toMatch(/^0\n1\n\? 'Ada'\nsaved as [\w-]+\n$/);
});
