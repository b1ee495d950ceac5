/** Owns the Python environments that this runner offers: their names, interpreters, preloaded modules and installed packages. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";
import { DEFAULT_ENVIRONMENT, type Environment, InstalledPackage } from "../../src/protocol/session-resource.ts";
import { findPythonHome, PYTHON_FLAGS } from "../sandbox/python-home.ts";
import type { RunnerConfig } from "./config.ts";

/** One environment as the operator names it. */
export interface EnvironmentSettings {
  name: string;
  /** The Python command. */
  python: string;
  preload: readonly string[];
}

const PROBE_TIMEOUT_MS = 30_000;
const PROBE_MAX_BYTES = 16 * 1024 * 1024;
const PACKAGES = `
import importlib.metadata, json
found = {}
for each in importlib.metadata.distributions():
    name = each.metadata["Name"]
    if name:
        found.setdefault(name.lower(), {"name": name, "version": each.version or ""})
print(json.dumps([found[key] for key in sorted(found)]))
`;

/** The environments of a runner, the default one first. */
export function environmentsOf(config: RunnerConfig): EnvironmentSettings[] {
  return [{ name: DEFAULT_ENVIRONMENT, python: config.PYTHON, preload: config.PRELOAD }, ...config.ENVIRONMENTS];
}

/** Describes environments; each is asked for its packages once. */
export class EnvironmentList {
  readonly #settings: readonly EnvironmentSettings[];
  #described: Promise<Environment[]> | null = null;

  constructor(settings: readonly EnvironmentSettings[]) {
    this.#settings = settings;
  }

  /** @throws Error if an interpreter does not run. */
  describe(): Promise<Environment[]> {
    this.#described ??= Promise.all(this.#settings.map(describe)).catch((error: unknown) => {
      // The next call asks again.
      this.#described = null;
      throw error;
    });
    return this.#described;
  }
}

async function describe({ name, python, preload }: EnvironmentSettings): Promise<Environment> {
  const home = await findPythonHome(python);
  const { stdout } = await promisify(execFile)(home.executable, [...PYTHON_FLAGS, "-c", PACKAGES], {
    timeout: PROBE_TIMEOUT_MS,
    maxBuffer: PROBE_MAX_BYTES,
    cwd: "/",
  });
  const packages = z.array(InstalledPackage).parse(JSON.parse(stdout));
  return { name, python: home.version, preload: [...preload], packages, default: name === DEFAULT_ENVIRONMENT };
}
