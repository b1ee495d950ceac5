/** Finds the parts for a sandbox without namespaces on this machine: Landlock's version, and whether root may mount. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";
import { findPythonHome, KEEPER_PACKAGE, PYTHON_FLAGS } from "../python-home.ts";

const PROBE_TIMEOUT_MS = 30_000;

/** The versions of the interface that brought what is asked for here (landlock(7)). */
const TRUNCATE_SINCE = 3;
const TCP_SINCE = 4;
const SCOPES_SINCE = 6;

const Support = z.object({ abi: z.int().nonnegative(), can_mount: z.boolean(), can_notify: z.boolean() });

export interface LandlockSupport {
  /** 0 if there is none. */
  abi: number;
  hasTruncate: boolean;
  hasTcpRules: boolean;
  /** Whether signals and abstract sockets end at the border of a session. */
  hasScopes: boolean;
  /** Whether a session's files can be on a tmpfs of its own. */
  canMount: boolean;
  /** Whether the warden can answer calls that make sockets, with connections to the session's proxy. */
  canPassSockets: boolean;
}

let found: Promise<LandlockSupport> | null = null;

/** Asks the kernel, once. @throws Error if the Python does not run. */
export function findLandlock(python: string): Promise<LandlockSupport> {
  found ??= probe(python).catch((error: unknown) => {
    found = null;
    throw error;
  });
  return found;
}

async function probe(python: string): Promise<LandlockSupport> {
  const { executable } = await findPythonHome(python);
  const { stdout } = await promisify(execFile)(executable, [...PYTHON_FLAGS, KEEPER_PACKAGE, "probe"], {
    timeout: PROBE_TIMEOUT_MS,
    cwd: "/",
  });
  const { abi, can_mount, can_notify } = Support.parse(JSON.parse(stdout));
  return {
    abi,
    hasTruncate: abi >= TRUNCATE_SINCE,
    hasTcpRules: abi >= TCP_SINCE,
    hasScopes: abi >= SCOPES_SINCE,
    canMount: can_mount,
    canPassSockets: can_notify,
  };
}
