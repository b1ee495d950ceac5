/** Owns which parts of a machine some tests need beside Node, npm and Python: whether each part works here, and which Debian packages bring it. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { testPython } from "../../scripts/python-tests.ts";

interface Part {
  /** Debian packages that bring it. */
  packages: readonly string[];
  /** Says why the part does not work here; null if it works. */
  complain: () => string | null;
}

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/google-chrome", "/usr/bin/chromium-browser"];

/** The browser for the console's tests, or null if this machine has none. */
export function findBrowser(): string | null {
  return process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path)) ?? null;
}

/** Tags of tests: a test with the tag of a part runs only on machines that have the part. */
export const PARTS = {
  bubblewrap: { packages: ["bubblewrap"], complain: complainOfBubblewrap },
  landlock: { packages: [], complain: complainOfLandlock },
  network: {
    packages: ["slirp4netns", "iproute2"],
    complain: () => complainOfCommand("slirp4netns") ?? complainOfCommand("ip"),
  },
  browser: { packages: ["chromium"], complain: () => (findBrowser() === null ? "no Chromium or Chrome" : null) },
  systemd: { packages: ["systemd"], complain: () => complainOfCommand("systemd-analyze") },
  git: {
    packages: ["git"],
    complain: () =>
      complainOfCommand("git") ?? (existsSync(".git") ? null : "this folder is no clone of the repository"),
  },
  strace: { packages: ["strace"], complain: () => complainOfCommand("strace") },
  curl: { packages: ["curl"], complain: () => complainOfCommand("curl") },
  cloudpickle: { packages: ["python3-cloudpickle"], complain: () => complainOfModule("cloudpickle") },
  numpy: { packages: ["python3-numpy"], complain: () => complainOfModule("numpy") },
  aiohttp: { packages: ["python3-aiohttp"], complain: () => complainOfModule("aiohttp") },
  pip: { packages: ["python3-pip"], complain: () => complainOfModule("pip") },
  setuptools: { packages: ["python3-setuptools"], complain: () => complainOfModule("setuptools") },
  wheel: { packages: ["python3-wheel"], complain: () => complainOfModule("wheel") },
  matplotlib: { packages: ["python3-matplotlib"], complain: () => complainOfModule("matplotlib") },
} as const satisfies Record<string, Part>;

export type PartName = keyof typeof PARTS;

export const PART_NAMES = Object.keys(PARTS) as PartName[];

/** A variable, so that the processes of one test run probe once. */
const VARIABLE = "MISSING_TEST_PARTS";

/** The parts that do not work on this machine, each with the reason. */
export function findMissingParts(): ReadonlyMap<PartName, string> {
  process.env[VARIABLE] ??= JSON.stringify(
    PART_NAMES.flatMap((name) => {
      const complaint = PARTS[name].complain();
      return complaint === null ? [] : [[name, complaint]];
    }),
  );
  return new Map(JSON.parse(process.env[VARIABLE]));
}

export function isHere(part: PartName): boolean {
  return !findMissingParts().has(part);
}

/** Tries the namespaces and the mount that the launcher makes, because a container may forbid them. */
function complainOfBubblewrap(): string | null {
  const absent = complainOfCommand("bwrap");
  if (absent !== null) return absent;
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const command = [...user, "--mount", "bwrap", "--unshare-all", "--dev-bind", "/", "/", "true"];
  const tried = spawnSync("unshare", command, { encoding: "utf8", timeout: 20_000 });
  return tried.status === 0 ? null : tried.stderr?.trim() || String(tried.error ?? tried.signal);
}

/** Asks the kernel for the version of Landlock's interface. */
function complainOfLandlock(): string | null {
  const question = "import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)";
  return spawnSync(testPython(), ["-I", "-c", question]).status === 0 ? null : "this kernel has no Landlock";
}

function complainOfCommand(name: string): string | null {
  const directories = [...(process.env.PATH ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return directories.some((directory) => existsSync(`${directory}/${name}`)) ? null : `no command ${name}`;
}

function complainOfModule(name: string): string | null {
  // A folder that a removed package left behind has a spec, but no file.
  const question = `import importlib.util, sys; sys.exit(not getattr(importlib.util.find_spec("${name}"), "origin", None))`;
  const tried = spawnSync(testPython(), ["-I", "-c", question]);
  return tried.status === 0 ? null : `${testPython()} has no module ${name}`;
}
