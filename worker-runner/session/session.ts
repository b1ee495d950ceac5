/** Owns one session: what its user may ask for; each thing that is then done has a file of its own in `session/`. */
import { randomUUID } from "node:crypto";
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import type { ExecutionEvent } from "../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../src/protocol/identity.ts";
import type { Completeness, Completions } from "../../src/protocol/server-message.ts";
import { ChannelViolation } from "../channel/framing.ts";
import type { PythonVersion } from "../channel/message.ts";
import type { InterpreterListener } from "../interpreter/interpreter.ts";
import type { LiveEnd } from "../interpreter/live.ts";
import { makeTempFolder } from "../temp-folder.ts";
import { EventStream } from "./events/event-iterator.ts";
import { OutputGate } from "./events/output-gate.ts";
import { Executions } from "./executions/executions.ts";
import { describeEnd } from "./executions/outcome.ts";
import { Questions } from "./questions.ts";
import type {
  CheckpointTaken,
  ExecuteRequest,
  SessionActivity,
  SessionContract,
  SessionListener,
  SessionStatus,
} from "./session-contract.ts";
import { SessionError } from "./session-error.ts";
import { type SessionOptions, type SessionSettings, settleOptions } from "./session-options.ts";
import { BlobSpool } from "./state/blob-files.ts";
import { Checkpoints, type Restored } from "./state/checkpoints.ts";
import { InterpreterSource } from "./state/interpreter-source.ts";
import { type BroughtBack, Recovery } from "./state/recovery.ts";
import { Snapshots } from "./state/snapshots.ts";
import { TurnQueue } from "./turn-queue.ts";

export class Session implements SessionContract {
  readonly id = randomUUID();
  readonly #settings: SessionSettings;
  readonly #directory: string;
  readonly #snapshots: Snapshots;
  readonly #listeners = new Set<SessionListener>();
  readonly #gate = new OutputGate((isHeld) => this.#holdOutput(isHeld));
  readonly #queue = new TurnQueue(
    (turn) => turn.executionId === null || !this.#gate.isHeld,
    (isIdle) => this.#tell(isIdle ? "ready" : "busy", isIdle ? "nothing runs" : "something runs"),
  );
  readonly #recovery: Recovery;
  readonly #executions: Executions;
  readonly #checkpoints: Checkpoints;
  readonly #questions: Questions;
  readonly #ending = new AbortController();
  #ended: Promise<void> | null = null;

  private constructor(directory: string, settings: SessionSettings) {
    this.#directory = directory;
    this.#settings = settings;
    this.#snapshots = new Snapshots(settings.maxSnapshots);
    const source = new InterpreterSource(this.id, directory, settings, this.#ending.signal);
    const startInterpreter = () => source.start(this.#interpreterListener());
    const isAtRest = () => this.#queue.isIdle;
    this.#recovery = new Recovery({ settings, snapshots: this.#snapshots, startInterpreter, isAtRest });
    const spool = new BlobSpool(join(directory, "blobs"));
    this.#checkpoints = new Checkpoints({ settings, snapshots: this.#snapshots, recovery: this.#recovery, spool });
    this.#executions = new Executions({
      settings,
      recovery: this.#recovery,
      queue: this.#queue,
      gate: this.#gate,
      listeners: this.#listeners,
      hasRunOutOfMemory: () => source.hasRunOutOfMemory(this.#recovery.interpreter),
      noteReplaced: (back, reason) => this.#noteReplaced(back, reason),
      fail: (error) => this.#fail(error),
    });
    this.#questions = new Questions({
      queue: this.#queue,
      recovery: this.#recovery,
      codeMaxBytes: settings.codeMaxBytes,
      waitMs: settings.completionWaitMs,
      answerMs: settings.completionAnswerMs,
      revive: () => this.#revive("the interpreter had ended"),
    });
  }

  /**
   * Starts a session with a fresh interpreter.
   *
   * @throws SessionError `interpreter_failed`, `aborted`.
   * @example
   * const session = await Session.start();
   * for await (const message of session.execute({ code: "print('hi')" })) console.log(message.type);
   * await session.shutdown();
   */
  static async start(options: SessionOptions = {}, signal?: AbortSignal): Promise<Session> {
    const directory = await makeTempFolder("session");
    const session = new Session(directory, settleOptions(options));
    const abort = () => void session.shutdown();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      // The sandbox may run as another user, who has to get through to the socket and to nothing else.
      await chmod(directory, 0o711);
      await session.#recovery.start();
      signal?.throwIfAborted();
      return session;
    } catch (cause) {
      await session.shutdown();
      if (signal?.aborted) throw new SessionError("aborted", "the start was given up", { cause });
      throw new SessionError("interpreter_failed", (cause as Error).message, { cause });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** The Python that runs here, and how it saves its state. */
  get python(): PythonVersion {
    return this.#recovery.interpreter.python;
  }

  get hasEnded(): boolean {
    return this.#ended !== null;
  }

  execute(request: ExecuteRequest): AsyncIterable<ExecutionEvent> {
    this.#assertOpen();
    const { execution, isNew } = this.#executions.accept(request);
    const stream = new EventStream(this.#gate, () => {
      if (isNew) this.cancel(execution.id);
    });
    execution.follow(stream);
    if (isNew) this.#executions.enqueue(execution);
    return stream;
  }

  submit(request: ExecuteRequest): ExecutionId {
    this.#assertOpen();
    const { execution, isNew } = this.#executions.accept(request);
    if (isNew) this.#executions.enqueue(execution);
    return execution.id;
  }

  subscribe(listener: SessionListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  numberFrom(base: number): void {
    this.#executions.numberFrom(base);
  }

  pauseOutput(): void {
    this.#gate.hold(this);
  }

  resumeOutput(): void {
    this.#gate.release(this);
  }

  limitFrames(bytes: number): void {
    this.#executions.limitFrames(bytes);
  }

  inputResponse(inputId: string, value: string | null): boolean {
    return this.#executions.openRun?.answerInput(inputId, value) ?? false;
  }

  interrupt(): ExecutionId | null {
    return this.#executions.interrupt();
  }

  cancel(executionId: ExecutionId): boolean {
    return this.#executions.cancel(executionId);
  }

  cancelAll(cleanUpMs?: number): void {
    this.#executions.cancelAll(false, cleanUpMs);
  }

  async reset(): Promise<void> {
    this.#executions.cancelAll(true);
    const startOver = async () => {
      this.#recovery.noteFresh();
      await this.#recovery.bringBack();
    };
    await this.#queue.run(startOver, { isUrgent: true });
    this.#tell("reset", "the session was reset");
  }

  complete(code: string, cursor: number): Promise<z.infer<typeof Completions>> {
    return this.#questions.complete(code, cursor);
  }

  isComplete(code: string): Promise<z.infer<typeof Completeness>> {
    return this.#questions.isComplete(code);
  }

  async checkpoint(checkpointId: CheckpointId = `cp-${randomUUID()}` as CheckpointId): Promise<CheckpointTaken> {
    const frozen = await this.#queue.run(() => this.#checkpoints.freeze(checkpointId));
    return this.#checkpoints.write(checkpointId, frozen);
  }

  async restore(
    checkpointId: CheckpointId,
    options: { clearExisting?: boolean; blobPath?: string } = {},
  ): Promise<Restored> {
    const isClearing = options.clearExisting ?? true;
    const restore = () => this.#checkpoints.restore(checkpointId, isClearing, options.blobPath ?? null);
    const restored = await this.#queue.run(restore);
    this.#tell("restored", `checkpoint ${checkpointId}`);
    return restored;
  }

  dropCheckpoint(checkpointId: CheckpointId): void {
    this.#checkpoints.drop(checkpointId);
  }

  dropBlob(checkpointId: CheckpointId): void {
    this.#checkpoints.dropBlob(checkpointId);
  }

  get activity(): SessionActivity {
    return {
      state: this.#ended ? "ended" : this.#queue.isIdle ? "ready" : "busy",
      lastSeq: this.#executions.lastSeq,
      running: this.#executions.current?.executionId ?? null,
      runningSince: this.#executions.current?.execution.startedAt ?? null,
      queued: this.#queue.waitingExecutions,
      pendingInput: this.#executions.openRun?.pendingInput ?? null,
    };
  }

  async status(): Promise<SessionStatus> {
    const { residentBytes, limitBytes } = await this.#recovery.interpreter.memoryStatus();
    return { ...this.activity, residentBytes, limitBytes, snapshots: this.#snapshots.count };
  }

  shutdown(): Promise<void> {
    this.#ended ??= this.#end("the session was shut down");
    return this.#ended;
  }

  async #end(reason: string): Promise<void> {
    this.#ending.abort(new SessionError("ended", reason));
    this.#queue.close();
    this.#snapshots.clear();
    await this.#recovery.close();
    await this.#checkpoints.settle();
    await rm(this.#directory, { recursive: true, force: true });
    this.#tell("ended", reason);
    this.#listeners.clear();
  }

  /** Nothing can bring this session back. */
  #fail(error: Error): void {
    this.#ended ??= this.#end(error.message);
  }

  #assertOpen(): void {
    if (this.#ended) throw new SessionError("ended", "the session has ended");
  }

  #interpreterListener(): InterpreterListener {
    return {
      output: (text, stream) => {
        const run = this.#executions.openRun;
        if (!run) throw new ChannelViolation("output while nothing runs");
        run.output(text, stream);
      },
      execution: (message) => {
        const run = this.#executions.openRun;
        if (!run) throw new ChannelViolation(`${message.type} while nothing runs`);
        run.take(message);
      },
      liveEnded: (end) => {
        const run = this.#executions.openRun;
        if (run) run.noteDeath(end);
        else this.#recoverAtRest(end);
      },
      snapshotEnded: (snapshot) => {
        this.#snapshots.noteEnded(snapshot);
        this.#recovery.noteSnapshotLost();
      },
      sandboxEnded: (reason) => this.#settings.metrics.sandboxFailed?.(reason),
    };
  }

  #recoverAtRest(end: LiveEnd): void {
    if (this.#ended) return;
    this.#queue
      .run(() => this.#revive(describeEnd(end)), { isUrgent: true })
      .catch((error: Error) => this.#fail(error));
  }

  /** Sees to it that there is a live process. */
  async #revive(reason: string): Promise<void> {
    const { interpreter } = this.#recovery;
    if (interpreter.isUsable && interpreter.live) return;
    this.#noteReplaced(await this.#recovery.bringBack(), reason);
  }

  #noteReplaced(back: BroughtBack, reason: string): void {
    const outcome = {
      recovered: "the state is as before",
      restored: back.checkpointId
        ? `the state is that of checkpoint ${back.checkpointId}`
        : "the last execution is lost",
      fresh: "the state is gone",
    }[back.state];
    this.#tell("restored", `${reason}; ${outcome}`);
  }

  #holdOutput(isHeld: boolean): void {
    if (this.#executions.openRun) this.#recovery.interpreter.live?.hold(isHeld);
    if (!isHeld) this.#queue.pulse();
  }

  #tell(state: Parameters<NonNullable<SessionListener["state"]>>[0], reason: string): void {
    for (const listener of this.#listeners) listener.state?.(state, reason);
  }
}
