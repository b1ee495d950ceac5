/** Owns one session as its user sees it: a method for each call. The files in this folder carry them out. */
import { randomUUID } from "node:crypto";
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import type { ExecutionEvent } from "../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../src/protocol/identity.ts";
import type { Completeness, Completions } from "../../src/protocol/server-message.ts";
import type { VariableList } from "../../src/protocol/session-resource.ts";
import type { ToolResult } from "../../src/protocol/tool.ts";
import type { PythonVersion } from "../channel/message.ts";
import type { FileProcess } from "../interpreter/file-process.ts";
import type { InterpreterListener } from "../interpreter/interpreter.ts";
import type { LiveEnd } from "../interpreter/live.ts";
import { makeTempFolder } from "../temp-folder.ts";
import { EventIterator } from "./events/event-iterator.ts";
import { OutputGate } from "./events/output-gate.ts";
import { SessionEvents } from "./events/session-events.ts";
import { Executions } from "./executions/executions.ts";
import { describeEnd } from "./executions/outcome.ts";
import { Files } from "./files.ts";
import { newCheckpointId, parseRequest } from "./parse-request.ts";
import { Questions } from "./questions.ts";
import type {
  CheckpointTaken,
  ExecuteRequest,
  KeptOutput,
  SessionActivity,
  SessionContract,
  SessionListener,
  SessionStatus,
  Submission,
} from "./session-contract.ts";
import { SessionError } from "./session-error.ts";
import { type SessionOptions, type SessionSettings, settleOptions } from "./session-options.ts";
import { BlobFiles } from "./state/blob-files.ts";
import { Checkpoints, type Restored } from "./state/checkpoints.ts";
import { InterpreterSource } from "./state/interpreter-source.ts";
import { Recovery } from "./state/recovery.ts";
import { Snapshots } from "./state/snapshots.ts";
import { TurnQueue } from "./turn-queue.ts";

export class Session implements SessionContract {
  readonly id = randomUUID();
  readonly #settings: SessionSettings;
  readonly #directory: string;
  readonly #snapshots: Snapshots;
  readonly #events = new SessionEvents();
  readonly #gate = new OutputGate((isHeld) => this.#holdOutput(isHeld));
  readonly #queue = new TurnQueue(
    (turn) => turn.executionId === null || !this.#gate.isHeld,
    (isIdle) => this.#events.tellBusy(!isIdle),
  );
  readonly #recovery: Recovery;
  readonly #executions: Executions;
  readonly #checkpoints: Checkpoints;
  readonly #questions: Questions;
  readonly #files: Files;
  readonly #ending = new AbortController();
  #ended: Promise<void> | null = null;

  private constructor(directory: string, settings: SessionSettings) {
    this.#directory = directory;
    this.#settings = settings;
    this.#snapshots = new Snapshots(settings.maxSnapshots);
    const { signal } = this.#ending;
    const source = new InterpreterSource(this.id, directory, settings, this.#interpreterListener(), signal);
    this.#recovery = new Recovery(settings, this.#snapshots, source, this.#queue, this.#events);
    const blobs = new BlobFiles(join(directory, "blobs"));
    this.#checkpoints = new Checkpoints(settings, this.#snapshots, this.#recovery, blobs);
    this.#executions = new Executions(settings, this.#events, this.#recovery, this.#queue, this.#gate, (error) =>
      this.#fail(error),
    );
    this.#questions = new Questions(settings, this.#queue, this.#recovery);
    this.#files = new Files(this.#queue, this.#recovery);
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
      // The sandbox may run as another user, who must be able to reach the socket but nothing else.
      await chmod(directory, 0o711);
      await session.#recovery.start();
      signal?.throwIfAborted();
      return session;
    } catch (cause) {
      await session.shutdown();
      if (signal?.aborted) throw new SessionError("aborted", "the start was aborted", { cause });
      throw new SessionError("interpreter_failed", (cause as Error).message, { cause });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** The version of Python, and how it saves its state. */
  get python(): PythonVersion {
    return this.#recovery.interpreter.python;
  }

  get hasEnded(): boolean {
    return this.#ended !== null;
  }

  execute(request: ExecuteRequest): AsyncIterable<ExecutionEvent> {
    this.#assertOpen();
    const { execution, isNew } = this.#executions.accept(parseRequest(request));
    const reader = new EventIterator(this.#gate, () => {
      if (isNew) this.cancel(execution.id);
    });
    execution.events.follow(reader);
    if (isNew) this.#executions.enqueue(execution);
    return reader;
  }

  submit(request: ExecuteRequest): ExecutionId {
    const submission = parseRequest(request);
    this.enqueue(submission);
    return submission.execution_id;
  }

  enqueue(submission: Submission): void {
    this.#assertOpen();
    const { execution, isNew } = this.#executions.accept(submission);
    if (isNew) this.#executions.enqueue(execution);
  }

  subscribe(listener: SessionListener): () => void {
    return this.#events.subscribe(listener);
  }

  numberFrom(base: number): void {
    this.#events.numberFrom(base);
  }

  pauseOutput(): void {
    this.#gate.hold(this);
  }

  resumeOutput(): void {
    this.#gate.release(this);
  }

  limitFrames(bytes: number): void {
    this.#events.frameLimitBytes = bytes;
  }

  keepOutput(kept: KeptOutput): void {
    this.#events.keptOutput = kept;
    if (kept === null) this.#executions.current?.execution.events.releaseOutput();
  }

  inputResponse(inputId: string, value: string | null): boolean {
    return this.#executions.openRun?.answerInput(inputId, value) ?? false;
  }

  toolResult(result: ToolResult): boolean {
    return this.#executions.openRun?.toolCalls.answer(result) ?? false;
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
    this.#events.tellState("reset", "the session was reset");
  }

  complete(code: string, cursor: number): Promise<z.infer<typeof Completions>> {
    return this.#questions.complete(code, cursor);
  }

  isComplete(code: string): Promise<z.infer<typeof Completeness>> {
    return this.#questions.isComplete(code);
  }

  variables(): Promise<VariableList> {
    return this.#questions.variables();
  }

  setEnv(values: Readonly<Record<string, string>>): void {
    this.#executions.setEnv(values);
  }

  async checkpoint(checkpointId: CheckpointId = newCheckpointId()): Promise<CheckpointTaken> {
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
    this.#events.tellState("restored", `checkpoint ${checkpointId}`);
    return restored;
  }

  async undo(executionId: ExecutionId | null): Promise<ExecutionId> {
    const undone = await this.#queue.run(() => this.#recovery.undo(executionId));
    this.#events.tellState("restored", `the state before execution ${undone}`);
    return undone;
  }

  async openFiles(): Promise<FileProcess> {
    this.#assertOpen();
    return this.#files.open();
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
      lastSeq: this.#events.lastSeq,
      running: this.#executions.current?.executionId ?? null,
      runningSince: this.#executions.current?.execution.events.startedAt ?? null,
      queued: this.#queue.waitingExecutions,
      pendingInput: this.#executions.openRun?.pendingInput ?? null,
      pendingToolCalls: this.#executions.openRun?.toolCalls.pending ?? [],
    };
  }

  async status(): Promise<SessionStatus> {
    const { interpreter } = this.#recovery;
    const { residentBytes, limitBytes } = await interpreter.memoryStatus();
    return {
      ...this.activity,
      residentBytes,
      limitBytes,
      snapshots: this.#snapshots.count,
      undo: this.#snapshots.undoable,
      packages: interpreter.installations.packages,
    };
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
    // A blob that is still being written can add a file while the folder is emptied; `rm` then tries again.
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 10 });
    this.#events.tellState("ended", reason);
    this.#events.close();
  }

  /** The session cannot go on. */
  #fail(error: Error): void {
    this.#ended ??= this.#end(error.message);
  }

  #assertOpen(): void {
    if (this.#ended) throw new SessionError("ended", "the session has ended");
  }

  #interpreterListener(): InterpreterListener {
    return {
      onLiveEnded: (end) => {
        const run = this.#executions.openRun;
        if (run) run.noteDeath(end);
        else this.#recoverAtRest(end);
      },
      onSnapshotEnded: (snapshot) => {
        this.#snapshots.noteEnded(snapshot);
        this.#recovery.noteSnapshotLost();
      },
      onSandboxEnded: (reason) => this.#settings.metrics.sandboxFailed?.(reason),
    };
  }

  #recoverAtRest(end: LiveEnd): void {
    if (this.#ended) return;
    this.#queue
      .run(() => this.#recovery.ensureLive(describeEnd(end)), { isUrgent: true })
      .catch((error: Error) => this.#fail(error));
  }

  #holdOutput(isHeld: boolean): void {
    if (this.#executions.openRun) this.#recovery.interpreter.live?.hold(isHeld);
    if (!isHeld) this.#queue.pulse();
  }
}
