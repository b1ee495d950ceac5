/** Owns the settings of a session and their defaults. The limits of the sandbox are in `sandbox-contract.ts`. */
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { Egress } from "../egress/egress.ts";
import type { InterpreterOptions } from "../interpreter/interpreter-options.ts";
import { PackageIndex, type PackageIndexSettings } from "../interpreter/package-index.ts";
import { startSandbox } from "../sandbox/bubblewrap.ts";
import { PROXY_PORT, type SandboxLimits, type StartSandbox } from "../sandbox/sandbox-contract.ts";
import type { MetricsHooks } from "./metrics-hooks.ts";

const MIB = 1024 * 1024;

const PROXY_URL = `http://127.0.0.1:${PROXY_PORT}`;
/** By these, HTTP libraries find the proxy. Some know only names in lower case. What code itself serves is on its own loopback. */
const PROXY_VARIABLES = {
  ...{ HTTP_PROXY: PROXY_URL, HTTPS_PROXY: PROXY_URL, NO_PROXY: "localhost,127.0.0.1,::1" },
  ...{ http_proxy: PROXY_URL, https_proxy: PROXY_URL, no_proxy: "localhost,127.0.0.1,::1" },
};

/** The settings that the caller may give. */
export interface SessionOptions {
  /** The Python command. */
  python?: string;
  /** Modules that are imported before the session begins. */
  preload?: readonly string[];
  /** Variables for user code. */
  env?: Readonly<Record<string, string>>;
  network?: "off" | "on";
  limits?: Partial<SandboxLimits>;
  /** How sandboxes are started. */
  startSandbox?: StartSandbox;
  maxQueuedExecutions?: number;
  codeMaxBytes?: number;
  /** The most output of one execution, in UTF-16 units. Past it, the execution ends with reason `output_limit`. */
  outputMaxCharacters?: number;
  /** Milliseconds for which code may take to react to an interrupt or a timeout, before it is killed (750). */
  interruptGraceMs?: number;
  /** Milliseconds for which code may clean up once it has noticed an interrupt or a cancel (5,000). */
  noticedInterruptGraceMs?: number;
  /** Above this resident size, no recovery snapshot is taken; 0: never. */
  recoveryMaxResidentBytes?: number;
  /**
   * Share of the wall time that recovery snapshots may take in a row of executions without pause (0.1). After a crash the session has the
   * state of the last snapshot, and the `error` lists the executions lost. An execution that begins 3 ms or more after the one before always
   * has a snapshot of its own.
   */
  recoveryCopyShare?: number;
  /** How many snapshots may be taken at once, beyond that share (8); full again after each snapshot that was needed. */
  recoveryCopiesBurst?: number;
  /**
   * After this time without use, a session's recovery snapshot is taken anew, so that it shares nearly all memory with the live process
   * (5,000 milliseconds); 0: never. The next execution then takes a few milliseconds longer.
   */
  restAfterMs?: number;
  /** The most frozen copies at a time, including the recovery snapshot. */
  maxSnapshots?: number;
  checkpointMaxBytes?: number;
  /** The most bytes of workspace files in one checkpoint. */
  checkpointMaxWorkspaceBytes?: number;
  /** The longest pause between two pieces of a checkpoint's blob, in milliseconds. Past it, the checkpoint fails (30,000). */
  checkpointSilenceMs?: number;
  /** How long `complete` and `isComplete` wait for a busy session (as long as the longest execution may take). */
  completionWaitMs?: number;
  /** How long they then wait for the answer. User code such as `__dir__` can delay it (5,000). */
  completionAnswerMs?: number;
  /** Where packages come from; absent: none can be installed. */
  packageIndex?: PackageIndexSettings;
  /** What user code may reach by HTTP and HTTPS; absent: nothing, unless there is a network. */
  egress?: Egress;
  /** How many finished executions are remembered by their ids. */
  rememberedExecutions?: number;
  /** Bytes of finished executions' events that are kept for repeated requests. */
  replayMaxBytes?: number;
  startDeadlineMs?: number;
  metrics?: MetricsHooks;
}

export type SessionSettings = Required<
  Omit<
    SessionOptions,
    | "python"
    | "preload"
    | "env"
    | "network"
    | "limits"
    | "startSandbox"
    | "startDeadlineMs"
    | "checkpointSilenceMs"
    | "packageIndex"
    | "egress"
  >
> & { interpreter: Omit<InterpreterOptions, "makeSandboxId"> };

/** Fills in the defaults. */
export function settleOptions(options: SessionOptions): SessionSettings {
  return {
    maxQueuedExecutions: options.maxQueuedExecutions ?? DEFAULT_LIMITS.queuedExecutions,
    codeMaxBytes: options.codeMaxBytes ?? DEFAULT_LIMITS.codeMaxBytes,
    outputMaxCharacters: options.outputMaxCharacters ?? Number.POSITIVE_INFINITY,
    interruptGraceMs: options.interruptGraceMs ?? 750,
    noticedInterruptGraceMs: options.noticedInterruptGraceMs ?? 5_000,
    recoveryMaxResidentBytes: options.recoveryMaxResidentBytes ?? 512 * MIB,
    recoveryCopyShare: options.recoveryCopyShare ?? 0.1,
    recoveryCopiesBurst: options.recoveryCopiesBurst ?? 8,
    restAfterMs: options.restAfterMs ?? 5_000,
    maxSnapshots: options.maxSnapshots ?? DEFAULT_LIMITS.snapshotsPerSession,
    checkpointMaxBytes: options.checkpointMaxBytes ?? 256 * MIB,
    checkpointMaxWorkspaceBytes: options.checkpointMaxWorkspaceBytes ?? 64 * MIB,
    completionAnswerMs: options.completionAnswerMs ?? 5_000,
    completionWaitMs: options.completionWaitMs ?? DEFAULT_LIMITS.maxTimeoutSeconds * 1_000,
    rememberedExecutions: options.rememberedExecutions ?? 1_000,
    replayMaxBytes: options.replayMaxBytes ?? MIB,
    metrics: options.metrics ?? {},
    interpreter: {
      startSandbox: options.startSandbox ?? startSandbox,
      sandbox: {
        workspaceDirectory: null,
        python: options.python ?? "python3",
        preload: options.preload ?? [],
        network: options.egress === undefined ? (options.network ?? "off") : "proxy",
        env: { ...(options.egress === undefined ? {} : PROXY_VARIABLES), ...options.env },
        limits: {
          memoryBytes: DEFAULT_LIMITS.memoryLimitMb * MIB,
          processes: DEFAULT_LIMITS.processLimit,
          workspaceBytes: DEFAULT_LIMITS.workspaceLimitMb * MIB,
          workspaceFiles: 65_536,
          openFiles: 1_024,
          ...options.limits,
        },
      },
      startDeadlineMs: options.startDeadlineMs ?? 20_000,
      answerDeadlineMs: 10_000,
      serializerSilenceMs: options.checkpointSilenceMs ?? 30_000,
      fileSilenceMs: 30_000,
      loadDeadlineMs: 60_000,
      packageIndex: options.packageIndex === undefined ? null : new PackageIndex(options.packageIndex),
      egress: options.egress ?? null,
    },
  };
}
