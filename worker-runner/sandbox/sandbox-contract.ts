/** Owns the types between a session and its sandbox. `bubblewrap.ts` and `unsandboxed.ts` implement them. */
import type { Readable, Writable } from "node:stream";

/** The session's listening socket in `channelDirectory`; it exists before the sandbox starts. */
export const CHANNEL_SOCKET_NAME = "channel.sock";

/** The listening socket of the session's proxy in `channelDirectory`, if the network is `proxy`; it exists before the sandbox starts. */
export const EGRESS_SOCKET_NAME = "egress.sock";

/** Where user code finds the proxy, on its own loopback. Without a loopback, connections to this port alone are made for it. */
export const PROXY_PORT = 3128;

export interface SandboxLimits {
  /** Everything in the sandbox together: all processes, snapshots, and the files in memory. */
  memoryBytes: number;
  /** Processes and threads, the keeper and the snapshots among them. */
  processes: number;
  /** Bytes of all writable files together: workspace, home, /tmp and /dev/shm. */
  workspaceBytes: number;
  /** Files and directories together, in the same places. */
  workspaceFiles: number;
  /** Descriptors of one process. */
  openFiles: number;
}

export interface SandboxOptions {
  /** Names the session's control groups: `[A-Za-z0-9_-]`, unique in this runner. */
  id: string;
  /** A directory outside, made by the caller for this session alone, with the listening `CHANNEL_SOCKET_NAME` in it. */
  channelDirectory: string;
  /** A directory outside to use as the workspace, or null for one in memory that ends with the sandbox. */
  workspaceDirectory: string | null;
  /** The Python command, as the operator gave it. */
  python: string;
  /** Modules that the keeper imports ahead of need. */
  preload: readonly string[];
  limits: SandboxLimits;
  /** `proxy`: user code reaches the session's proxy, and nothing else. */
  network: "off" | "proxy" | "on";
  /** Variables for user code on top of the sandbox's own few. */
  env: Readonly<Record<string, string>>;
}

export interface SandboxExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface SandboxMemory {
  residentBytes: number | null;
  /** What the limit counts: all of it in a control group, else the largest process, because each one has a limit of its own. */
  limitedBytes: number | null;
  limitBytes: number | null;
  /** How many processes the kernel has ended for memory so far; null where it does not count them. */
  oomKills: number | null;
}

/** One running keeper, and all that it starts. */
export interface Sandbox {
  /** The keeper's process id outside. */
  readonly pid: number;
  /** Path of the session's socket as the keeper sees it. */
  readonly channelPath: string;
  /** Whether the keeper is pid 1 in a namespace of its own. */
  readonly isPidOne: boolean;
  /** The keeper's standard input. */
  readonly stdin: Writable;
  /** What the keeper, or the sandbox program before it, complains about; the caller reads it. */
  readonly stderr: Readable;
  /** Resolves once the keeper and every process that it started are gone; never rejects. */
  readonly exited: Promise<SandboxExit>;
  memoryStatus(): Promise<SandboxMemory>;
  /** Ends every process of the sandbox, then removes its control groups and directories. Safe to call twice. */
  kill(): Promise<void>;
}

/** @throws Error with the sandbox program's own words where it cannot start. */
export type StartSandbox = (options: SandboxOptions) => Promise<Sandbox>;
