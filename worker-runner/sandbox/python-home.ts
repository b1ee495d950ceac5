/** Finds the folders that a given Python needs from the file system. `bwrap-arguments.ts` mounts them. */
import { execFile } from "node:child_process";
import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";

/** A Python command resolved to its files. */
export interface PythonHome {
  /** Absolute path of the interpreter itself, never of a version manager's shim. */
  executable: string;
  version: string;
  implementation: string;
  /** The version of cloudpickle that writes checkpoints; null if it is not installed. */
  cloudpickle: string | null;
  /** Files and directories outside /usr that it reads, parents first. */
  roots: string[];
}

const PROBE_TIMEOUT_MS = 30_000;

/** The program of the keeper. */
export const KEEPER_PACKAGE = resolve(import.meta.dirname, "../python");

/** The keeper's flags: no user site, no variables, no current directory; text is UTF-8 everywhere. */
export const PYTHON_FLAGS = ["-I", "-X", "utf8"] as const;

// Compiling the package once, where its folder is writable, spares each cold start some 20 ms: the sandbox mounts it read-only.
const PROBE = `
import compileall, json, platform, sys
mapped = set()
try:
    with open("/proc/self/maps") as maps:
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
except OSError:
    pass
try:
    import cloudpickle
except ImportError:
    cloudpickle = None
print(json.dumps({
    "cloudpickle": cloudpickle and cloudpickle.__version__,
    "executable": sys.executable,
    "version": platform.python_version(),
    "implementation": platform.python_implementation(),
    "prefixes": [sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix],
    "path": sys.path,
    "mapped": sorted(mapped),
}))
sys.stdout.flush()
compileall.compile_dir(sys.argv[1], quiet=2)
`;

const Probed = z.object({
  cloudpickle: z.string().nullable(),
  executable: z.string().startsWith("/"),
  version: z.string(),
  implementation: z.string(),
  prefixes: z.array(z.string()),
  path: z.array(z.string()),
  mapped: z.array(z.string()),
});

const known = new Map<string, Promise<PythonHome>>();

/**
 * Finds an interpreter's files by asking it, once per command.
 *
 * @throws Error where the command does not run, or its files cannot be told from somebody's home.
 */
export function findPythonHome(command: string): Promise<PythonHome> {
  const found = known.get(command);
  if (found) return found;
  const asked = askPython(command);
  known.set(command, asked);
  // A command that failed may be installed later.
  asked.catch(() => known.delete(command));
  return asked;
}

async function askPython(command: string): Promise<PythonHome> {
  const { stdout } = await promisify(execFile)(command, [...PYTHON_FLAGS, "-c", PROBE, KEEPER_PACKAGE], {
    timeout: PROBE_TIMEOUT_MS,
    cwd: "/",
  }).catch((cause: NodeJS.ErrnoException & { stderr?: string }) => {
    const reason = cause.code === "ENOENT" ? "no such command" : (cause.stderr?.trim() ?? cause.message);
    throw new Error(`PYTHON=${command} does not run: ${reason}`);
  });
  const { prefixes, path, mapped, ...python } = Probed.parse(JSON.parse(stdout));
  return { ...python, roots: rootsOf(python.executable, prefixes, path, mapped) };
}

function rootsOf(executable: string, prefixes: string[], path: string[], mapped: string[]): string[] {
  const roots: string[] = [];
  const add = (root: string) => {
    if (!existsSync(root) || isCovered(root, roots)) return;
    if (isTooWide(root)) throw new Error(`PYTHON needs all of ${root}, which holds more than a Python; use a venv`);
    roots.push(root);
  };
  for (const root of prefixes) add(root);
  for (const link of linksFrom(executable)) if (!isCovered(link, roots)) add(dirname(dirname(link)));
  for (const entry of path) add(entry);
  for (const file of mapped) if (file.startsWith("/")) add(file.startsWith("/nix/store/") ? "/nix/store" : file);
  return roots.sort((left, right) => left.length - right.length);
}

/** Every path on the way from a symbolic link to the file it ends at; a venv's python leads out of the venv. */
function linksFrom(path: string): string[] {
  const seen: string[] = [];
  let at = path;
  while (!seen.includes(at)) {
    seen.push(at);
    if (!lstatSync(at).isSymbolicLink()) break;
    at = resolve(dirname(at), readlinkSync(at));
  }
  return seen;
}

function isCovered(path: string, roots: string[]): boolean {
  return ["/usr", "/lib", "/lib64", ...roots].some((root) => path === root || path.startsWith(`${root}/`));
}

/** A home as a whole holds keys and mail; a Python below it does not. */
function isTooWide(root: string): boolean {
  return (
    ["/", "/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/var", homedir()].includes(root) ||
    /^\/home\/[^/]+$/.test(root)
  );
}
