/** Stands for a session where the other side of its contract is what is tested: the test says what "Python" does. */
import type { EventType, ExecutionEvent } from "../../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";
import type { VariableList } from "../../../src/protocol/session-resource.ts";
import type { ToolResult } from "../../../src/protocol/tool.ts";
import { NumberedEvent } from "../../../worker-runner/session/events/numbered-event.ts";
import type {
  CheckpointTaken,
  KeptOutput,
  SessionActivity,
  SessionContract,
  SessionListener,
  SessionStatus,
  Submission,
} from "../../../worker-runner/session/session-contract.ts";
import { SessionError } from "../../../worker-runner/session/session-error.ts";

export class ScriptedSession implements SessionContract {
  readonly id = crypto.randomUUID();
  readonly calls: string[] = [];
  readonly codes = new Map<ExecutionId, string>();
  readonly blobs = new Map<CheckpointId, CheckpointTaken>();
  readonly restoredFrom: (string | undefined)[] = [];
  snapshots = new Set<CheckpointId>();
  submitError: SessionError | null = null;
  isPaused = false;
  isEnded = false;
  waitingInput: string | null = null;
  waitingCall: string | null = null;
  running: ExecutionId | null = null;
  #seq = 0;
  #listeners = new Set<SessionListener>();

  /** What a running interpreter would say. */
  emit(type: EventType, executionId: string, fields: Record<string, unknown> = {}): NumberedEvent {
    this.#seq += 1;
    const frame = JSON.stringify({ type, seq: this.#seq, data: { execution_id: executionId, ...fields } });
    const event = new NumberedEvent(this.#seq, type, executionId as ExecutionId, frame);
    for (const listener of this.#listeners) listener.event?.(event);
    return event;
  }

  emitState(state: "restored" | "reset" | "ended", reason: string): void {
    if (state === "ended") this.isEnded = true;
    for (const listener of this.#listeners) listener.state?.(state, reason);
  }

  emitBusy(isBusy: boolean): void {
    for (const listener of this.#listeners) listener.busy?.(isBusy);
  }

  emitStarted(executionId: string): void {
    for (const listener of this.#listeners) listener.started?.(executionId as ExecutionId, 1);
  }

  execute(): AsyncIterable<ExecutionEvent> {
    throw new Error("the service submits");
  }

  enqueue(submission: Submission): void {
    if (this.submitError !== null) throw this.submitError;
    const { execution_id: id, code } = submission;
    const known = this.codes.get(id);
    if (known !== undefined && known !== code) throw new SessionError("idempotency_conflict", "other code");
    this.codes.set(id, code);
    this.calls.push(`submit ${id}`);
  }

  subscribe(listener: SessionListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  numberFrom(base: number): void {
    this.#seq = base;
  }

  pauseOutput(): void {
    this.calls.push("pause");
    this.isPaused = true;
  }

  resumeOutput(): void {
    this.calls.push("resume");
    this.isPaused = false;
  }

  keepOutput(kept: KeptOutput): void {
    this.calls.push(`keepOutput ${JSON.stringify(kept)}`);
  }

  limitFrames(bytes: number): void {
    this.calls.push(`frames of ${bytes}`);
  }

  inputResponse(inputId: string, value: string | null): boolean {
    this.calls.push(`input ${inputId} ${value}`);
    return inputId === this.waitingInput;
  }

  toolResult(result: ToolResult): boolean {
    this.calls.push(`tool ${JSON.stringify(result)}`);
    return result.call_id === this.waitingCall;
  }

  variables(): Promise<VariableList> {
    return Promise.resolve({ variables: [], truncated: false });
  }

  setEnv(values: Readonly<Record<string, string>>): void {
    this.calls.push(`env ${Object.keys(values)}`);
  }

  interrupt(): ExecutionId | null {
    return this.running;
  }

  cancel(executionId: ExecutionId): boolean {
    return this.codes.has(executionId);
  }

  cancelAll(): void {
    this.calls.push("cancel all");
  }

  reset(): Promise<void> {
    this.calls.push("reset");
    return Promise.resolve();
  }

  complete(code: string, cursor: number) {
    return Promise.resolve({ matches: [`${code}!`], cursor_start: 0, cursor_end: cursor });
  }

  isComplete(_code: string) {
    return Promise.resolve({ status: "complete" as const });
  }

  checkpoint(id?: CheckpointId): Promise<CheckpointTaken> {
    const taken = id === undefined ? undefined : this.blobs.get(id);
    if (taken === undefined) return Promise.reject(new Error("/secret/path: no blob"));
    return Promise.resolve(taken);
  }

  restore(
    id: CheckpointId,
    options: { clearExisting?: boolean; blobPath?: string } = {},
  ): ReturnType<SessionContract["restore"]> {
    this.restoredFrom.push(options.blobPath);
    if (this.snapshots.has(id)) return Promise.resolve({ source: "snapshot", missing: [] });
    if (options.blobPath !== undefined) return Promise.resolve({ source: "stored", missing: [] });
    return Promise.reject(new SessionError("checkpoint_unavailable", "neither snapshot nor blob"));
  }

  undo(executionId: ExecutionId | null): Promise<ExecutionId> {
    if (executionId === null) return Promise.reject(new SessionError("undo_unavailable", "no copy"));
    return Promise.resolve(executionId);
  }

  openFiles(): Promise<never> {
    return Promise.reject(new SessionError("interpreter_died", "a scripted session has no files"));
  }

  dropCheckpoint(id: CheckpointId): void {
    this.calls.push(`drop ${id}`);
  }

  dropBlob(id: CheckpointId): void {
    this.calls.push(`drop blob ${id}`);
  }

  get activity(): SessionActivity {
    return {
      state: this.isEnded ? "ended" : "ready",
      lastSeq: this.#seq,
      running: this.running,
      runningSince: this.running === null ? null : 1,
      queued: [],
      pendingInput: null,
      pendingToolCalls: [],
    };
  }

  status(): Promise<SessionStatus> {
    return Promise.resolve({ ...this.activity, residentBytes: 1, limitBytes: 2, snapshots: 3, undo: [], packages: [] });
  }

  shutdown(): Promise<void> {
    this.calls.push("shutdown");
    if (!this.isEnded) this.emitState("ended", "shutdown");
    return Promise.resolve();
  }
}
