/** Owns the proof that any Python's files are found, and nobody's home among them. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { testPython } from "../../../scripts/python-tests.ts";
import { findPythonHome } from "../../../worker-runner/sandbox/python-home.ts";

const directory = mkdtempSync(join(tmpdir(), "pyrepl3-pythons-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A command that answers as a Python installed elsewhere would. */
function fakePython(name: string, answer: object): string {
  const command = join(directory, name);
  const facts = { cloudpickle: null, version: "3.12.0", implementation: "CPython", path: [], mapped: [], ...answer };
  writeFileSync(command, `#!/bin/sh\nprintf '%s\\n' '${JSON.stringify(facts)}'\n`);
  chmodSync(command, 0o755);
  return command;
}

it("resolves a command to the interpreter, and needs nothing but /usr for the system's own", async () => {
  const { executable, version, roots } = await findPythonHome("/usr/bin/python3");
  expect(executable).toBe("/usr/bin/python3");
  expect(version).toMatch(/^3\.\d+\.\d+/);
  expect(roots.filter((root) => !root.startsWith("/etc"))).toEqual([]);
});

it("asks once for each command", async () => {
  expect(findPythonHome(testPython())).toBe(findPythonHome(testPython()));
});

it("says which command does not run, and tries again the next time", async () => {
  const command = join(directory, "late");
  await expect(findPythonHome(command)).rejects.toThrow(`PYTHON=${command} does not run: no such command`);
  fakePython("late", { executable: "/usr/bin/env", prefixes: ["/usr"] });
  expect((await findPythonHome(command)).executable).toBe("/usr/bin/env");
});

it("names prefixes and paths outside /usr, each once, parents first", async () => {
  const prefix = join(directory, "prefix");
  mkdirSync(join(prefix, "lib"), { recursive: true });
  const library = join(directory, "libthing.so");
  writeFileSync(library, "");
  const command = fakePython("elsewhere", {
    executable: "/usr/bin/env",
    prefixes: [prefix, prefix],
    path: [join(prefix, "lib"), join(directory, "missing")],
    mapped: [library, "/usr/lib/libc.so.6", "[heap]"],
  });
  expect((await findPythonHome(command)).roots).toEqual([prefix, library].sort((a, b) => a.length - b.length));
});

it.each(["/", homedir(), "/home", "/etc"].filter((path) => existsSync(path)))(
  "refuses to take all of %s",
  async (path) => {
    const command = fakePython(`wide-${path.replaceAll("/", "_")}`, { executable: "/usr/bin/env", prefixes: [path] });
    await expect(findPythonHome(command)).rejects.toThrow(/holds more than a Python; use a venv/);
  },
);
