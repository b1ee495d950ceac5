/** Owns what can be set about a session, with its defaults; what bounds the sandbox itself is in `sandbox-contract.ts`. */
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { InterpreterOptions } from "../interpreter/interpreter-options.ts";
import { startSandbox } from "../sandbox/bubblewrap.ts";
import type { SandboxLimits, StartSandbox } from "../sandbox/sandbox-contract.ts";
import type { MetricsHooks } from "./metrics-hooks.ts";

const MIB = 1024 * 1024;

/** Everything about a session that its user may set. */
export interface SessionOptions {
  /** The Python command. */
  python?: string;
  /** Modules imported before any session begins. */
  preload?: readonly string[];
  /** Variables for user code. */
  env?: Readonly<Record<string, string>>;
  network?: "off" | "on";
  limits?: Partial<SandboxLimits>;
  /** How sandboxes are started. */
  startSandbox?: StartSandbox;
  maxQueuedExecutions?: number;
  codeMaxBytes?: number;
  /** UTF-16 units of output of one execution; past it the execution ends with reason `output_limit`. */
  outputMaxCharacters?: number;
  /** How long code may take to react to an interrupt or a timeout before it is killed. */
  interruptGraceMs?: number;
  /** How much longer code may take that has noticed an interrupt or a cancel: it is cleaning up (5,000). */
  noticedInterruptGraceMs?: number;
  /** Above this resident size no recovery snapshot is taken; 0 takes none at all. */
  recoveryMaxResidentBytes?: number;
  /**
   * Recovery snapshots a second in the long run (50), and at once (200; anew after each one that was needed). Where executions end faster, some get none: after a
   * crash the session is as of the last one, and the `error` lists the executions lost.
   */
  recoveryCopiesPerSecond?: number;
  recoveryCopiesBurst?: number;
  /** Frozen copies held at a time, the one for recovery included. */
  maxSnapshots?: number;
  checkpointMaxBytes?: number;
  /** Workspace files in one checkpoint. */
  checkpointMaxWorkspaceBytes?: number;
  /** Longest pause between two pieces of a checkpoint's blob; past it the checkpoint has failed (30,000). */
  checkpointSilenceMs?: number;
  /** How long `complete` and `isComplete` wait for a busy session (as long as the longest execution may take). */
  completionWaitMs?: number;
  /** How long they then wait for the answer, which an object's own code can hold up (5,000). */
  completionAnswerMs?: number;
  /** Finished executions whose ids are remembered. */
  rememberedExecutions?: number;
  /** Bytes of finished executions' events that are kept to be told again. */
  replayMaxBytes?: number;
  startDeadlineMs?: number;
  metrics?: MetricsHooks;
}

export type SessionSettings = Required<
  Omit<
    SessionOptions,
    "python" | "preload" | "env" | "network" | "limits" | "startSandbox" | "startDeadlineMs" | "checkpointSilenceMs"
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
    recoveryCopiesPerSecond: options.recoveryCopiesPerSecond ?? 50,
    recoveryCopiesBurst: options.recoveryCopiesBurst ?? 200,
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
        network: options.network ?? "off",
        env: options.env ?? {},
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
      loadDeadlineMs: 60_000,
    },
  };
}
