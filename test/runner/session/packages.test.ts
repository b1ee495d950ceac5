/** Packages with a real pip: installed from an index that the test serves, imported at once, and brought back with a state. */
// @module-tag pip
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { expect, it, onTestFinished, vi } from "vitest";
import { testPython } from "../../../scripts/python-tests.ts";
import type { CheckpointId } from "../../../src/protocol/identity.ts";
import type { SessionOptions } from "../../../worker-runner/index.ts";
import { startPackageIndex, type TestIndexSettings, type TestPackage } from "../../support/package-index.ts";
import { TLS_IDENTITY } from "../../support/tls-identity.ts";
import { failure, result, run, startSession } from "../borrowed-session.ts";

// pip takes seconds, and many of them on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const GREETING: TestPackage[] = [
  { name: "greeting", version: "1.0", module: "text = 'hello'" },
  { name: "greeting", version: "2.0", module: "text = 'hello again'" },
];

/** A session that may install from an index with these packages. */
async function startWith(
  packages: readonly TestPackage[],
  change: SessionOptions = {},
  settings: TestIndexSettings = {},
) {
  const index = await startPackageIndex(packages, settings);
  onTestFinished(() => index.close());
  const limits = { fileHosts: [], silenceMs: 4_000, installMs: 60_000, restoreMs: 30_000 };
  const options = { python: testPython(), packageIndex: { url: index.url, ...limits }, ...change };
  return { index, options, session: await startSession(options) };
}

it("installs a package that can be imported at once, also by processes that code starts, and lists it", async () => {
  const { session } = await startWith(GREETING);
  const ran = await run(session, "%pip install greeting==1.0");
  expect(ran.terminal.type, JSON.stringify(ran.terminal.data)).toBe("result");
  expect(ran.stdout).toContain("Successfully installed greeting-1.0");
  expect((await result(session, "import greeting; greeting.text")).value).toBe("hello");
  const child =
    "import subprocess, sys\nsubprocess.check_output([sys.executable, '-c', 'import greeting; print(greeting.text)'], text=True)";
  expect((await result(session, child)).value).toBe("hello\n");
  expect((await session.status()).packages).toEqual(["greeting==1.0"]);
  const newer = await run(session, "!pip install 'greeting>=2'");
  expect(newer.stdout).toContain("greeting was imported before");
  await session.reset();
  expect((await result(session, "import greeting; greeting.text")).value).toBe("hello again");
  expect((await session.status()).packages).toEqual(["greeting==2.0"]);
});

it("brings packages back with a stored state, and names those that it cannot", async () => {
  const { session, options, index } = await startWith([
    ...GREETING,
    { name: "other", version: "1.0", module: "class C: pass" },
  ]);
  await result(session, "%pip install greeting==1.0 other");
  await result(session, "import greeting, other; made = other.C(); kept = 7");
  const taken = await session.checkpoint("c1" as CheckpointId);
  expect(taken.packages).toEqual(["greeting==1.0", "other==1.0"]);
  const second = await startSession(options);
  expect(await second.restore("c1" as CheckpointId, { blobPath: taken.blobPath })).toEqual({
    source: "stored",
    missing: [],
  });
  expect((await result(second, "[greeting.text, type(made).__module__, kept]")).value).toEqual(["hello", "other", 7]);
  expect((await second.status()).packages).toEqual(["greeting==1.0", "other==1.0"]);
  // Nothing of the installation shows in the output of the next execution.
  expect((await run(second, "print(1)")).stdout).toBe("1\n");
  await session.reset();
  index.hang();
  const third = await startSession(options);
  const { missing } = await third.restore("c1" as CheckpointId, { blobPath: taken.blobPath });
  expect(missing.map(({ name }) => name).sort()).toEqual(["greeting", "greeting==1.0", "made", "other", "other==1.0"]);
  expect(missing.find(({ name }) => name === "other==1.0")).toMatchObject({
    type: "package",
    reason: expect.stringContaining("did not answer within 4 s"),
  });
  expect((await result(third, "kept")).value).toBe(7);
});

it("says what is wrong: no such package, an index that hangs, a build that fails, no room", async () => {
  const broken = { name: "broken", version: "1.0", setup: "raise RuntimeError('cannot be built')" };
  const limits = { workspaceBytes: 30_000_000 };
  const { session, index } = await startWith([...GREETING, broken], { limits });
  const missing = await failure(session, "%pip install nothing-of-that-name");
  expect(missing).toMatchObject({ exception_type: "PackageError", transaction: "committed", state: "kept" });
  expect(missing.exception_message).toContain("No matching distribution found for nothing-of-that-name");
  const built = await failure(session, "%pip install broken");
  expect(built.exception_message).toContain("could not be built");
  const elsewhere = await failure(session, `%pip install --index-url http://127.0.0.2:${index.port}/simple greeting`);
  expect(elsewhere.exception_message).toContain(`127.0.0.2:${index.port} is not the package index`);
  index.hang();
  const hung = await failure(session, "%pip install greeting");
  expect(hung.exception_message).toContain("The package index did not answer within 4 s.");
  index.answer();
  expect((await result(session, "%pip install greeting==1.0\nimport greeting\ngreeting.text")).value).toBe("hello");
  const full =
    "with open('/tmp/fill', 'wb') as f:\n    try:\n        while True: f.write(bytes(1 << 20))\n    except OSError: pass";
  await result(session, full);
  expect((await failure(session, "%pip install -U greeting")).exception_message).toContain("no room left");
  expect((await result(session, "6 * 7")).value).toBe(42);
});

it("stops with its execution, and leaves no process behind", async () => {
  const { session, index } = await startWith(GREETING, {});
  index.hang();
  const stopped = await failure(session, "%pip install greeting", { timeout: 0.7 });
  expect(stopped.reason).toBe("timeout");
  const processes =
    "import os\n[p for p in os.listdir('/proc') if p.isdigit() and 'installer' in open(f'/proc/{p}/cmdline').read()]";
  index.answer();
  expect(
    (await result(session, "%pip install greeting==2.0\nimport greeting\ngreeting.text", { timeout: 30 })).value,
  ).toBe("hello again");
  expect((await result(session, processes)).value).toEqual([]);
});

it("refuses to install without an index, and still lets user code install a file of its own", async () => {
  const { index } = await startWith(GREETING);
  const session = await startSession({ python: testPython() });
  expect(await failure(session, "%pip install greeting")).toMatchObject({
    exception_type: "PackageError",
    exception_message: "Installing packages is disabled on this service.",
  });
  const wheel = await (await fetch(`http://127.0.0.1:${index.port}/files/greeting-1.0-py3-none-any.whl`)).arrayBuffer();
  await result(
    session,
    `import base64; open('greeting-1.0-py3-none-any.whl', 'wb').write(base64.b64decode('${Buffer.from(wheel).toString("base64")}'))`,
  );
  const install =
    "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', './greeting-1.0-py3-none-any.whl'], check=True, capture_output=True)\nimport greeting\ngreeting.text";
  expect((await result(session, install)).value).toBe("hello");
});

it("gives user code no way to the index", { tags: "bubblewrap" }, async () => {
  const { session, index } = await startWith(GREETING);
  const direct = `import urllib.request\nurllib.request.urlopen('${index.url}/greeting/', timeout=2)`;
  expect((await failure(session, direct)).exception_type).toBe("URLError");
  expect(index.asked).toEqual([]);
});

it("asks an index over https with its credentials, which neither the session nor an error shows", async () => {
  const secret = "s3cret-of-the-index";
  const { index, session } = await startWith(GREETING, {}, { isSecure: true, credentials: `reader:${secret}` });
  const shown: string[] = [];
  const port = new URL(index.url).port;
  const url = `https://reader:wrong-${secret}@127.0.0.1:${port}/simple`;
  const limits = { fileHosts: [], silenceMs: 4_000, installMs: 60_000, restoreMs: 30_000 };
  const refused = await startSession({ python: testPython(), packageIndex: { url, ...limits } });
  const untrusted = await failure(refused, "%pip install greeting");
  expect(untrusted.exception_message).toMatch(/The package index cannot be reached \(.*(CERT|SIGNED)/);
  shown.push(JSON.stringify(untrusted));
  const before = getCACertificates("default");
  setDefaultCACertificates([...before, TLS_IDENTITY.cert]);
  onTestFinished(() => setDefaultCACertificates(before));
  const ran = await run(session, "%pip install -vvv greeting==1.0");
  expect(ran.terminal.type, JSON.stringify(ran.terminal.data)).toBe("result");
  expect((await result(session, "import greeting; greeting.text")).value).toBe("hello");
  expect(index.asked.at(-1)).toBe("/files/greeting-1.0-py3-none-any.whl");
  shown.push(JSON.stringify(ran));
  shown.push(JSON.stringify(await failure(session, "%pip install -vvv nothing-of-that-name")));
  const look = `
import os, pathlib
home = pathlib.Path.home()
[dict(os.environ), [path.read_bytes().decode("latin1") for path in home.rglob("*") if path.is_file() and path.stat().st_size < 1 << 20],
 [open(f"/proc/{pid}/cmdline").read() for pid in os.listdir("/proc") if pid.isdigit()]]`;
  shown.push(JSON.stringify(await result(session, look)));
  const rejected = await failure(refused, "%pip install -vvv greeting");
  expect(rejected.exception_message).toContain("does not accept the credentials of this service (401)");
  shown.push(JSON.stringify(rejected));
  for (const text of shown) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(Buffer.from(`reader:${secret}`).toString("base64"));
  }
});

it.each([
  ["of its own", []],
  ["that sees the system's packages", ["--system-site-packages"]],
])("installs into a session whose Python is in a venv %s", async (_kind, options) => {
  const venv = mkdtempSync("/var/tmp/pyrepl3-venv-");
  onTestFinished(() => rmSync(venv, { recursive: true }));
  // A session's own user must get to it.
  chmodSync(venv, 0o755);
  execFileSync(testPython(), ["-m", "venv", "--without-pip", ...options, venv]);
  const paths = "import os, pip, sysconfig; print(os.path.dirname(pip.__file__))";
  const pip = execFileSync(testPython(), ["-c", paths], { encoding: "utf8" }).trim();
  const python = join(venv, "bin", "python");
  const site = execFileSync(python, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], {
    encoding: "utf8",
  });
  cpSync(pip, join(site.trim(), "pip"), { recursive: true });
  const { session, options: settings } = await startWith(GREETING, { python });
  expect((await result(session, "import sys; sys.prefix")).value).toBe(venv);
  await result(session, "%pip install greeting==1.0");
  expect((await result(session, "import greeting; greeting.text")).value).toBe("hello");
  const child =
    "import subprocess\nsubprocess.check_output([sys.executable, '-c', 'import greeting; print(greeting.text)'], text=True)";
  expect((await result(session, child)).value).toBe("hello\n");
  const taken = await session.checkpoint("venv" as CheckpointId);
  expect(taken.packages).toEqual(["greeting==1.0"]);
  const second = await startSession(settings);
  expect(await second.restore("venv" as CheckpointId, { blobPath: taken.blobPath })).toMatchObject({ missing: [] });
  expect((await result(second, "greeting.text")).value).toBe("hello");
});
