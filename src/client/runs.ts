/** Owns the runs of one client that are not over: each event reaches its run, and each run goes on after a break. */
import { Answering } from "./answering.ts";
import { ClientError } from "./client-error.ts";
import { type Attached, Connection, type ConnectionListener, type ConnectionState } from "./connection.ts";
import type { SocketConstructor } from "./endpoint.ts";
import { ExecutionCalls } from "./execution-calls.ts";
import { runOverHttp } from "./http-run.ts";
import type { Rest } from "./rest.ts";
import { ResumedRuns } from "./resumed-runs.ts";
import { Run } from "./run.ts";
import { executeFields, type ResumeSettings, type RunSettings, type Tools } from "./run-options.ts";
import { type ExecuteFields, eventOf, type Incoming, type ToolAnswer, type WireEvent } from "./wire.ts";

/** Output that waits for a slow loop before the service is slowed down. */
const WAITING_CHARS = 1024 * 1024;
const MAX_RETRIES = 5;

export interface RunsOptions {
  rest: Rest;
  /** Null: the runtime has none, so that everything goes over HTTP. */
  socket: SocketConstructor | null;
  windowBytes: number;
  after: number | null;
  openTimeoutMs: number;
  resumeTimeoutMs: number;
  session(state: Extract<Incoming, { type: "session" }>["data"]): void;
  state(state: ConnectionState): void;
}

interface Active {
  run: Run;
  fields: ExecuteFields;
  retries: number;
  /** Its events may be ones that were answered before. */
  mayRepeat: boolean;
  /** Answers on their way, by the id of the question or call. */
  answers: Map<string, Extract<Parameters<Connection["send"]>[0], { type: "input_response" | "tool_result" }>>;
}

export class Runs implements ConnectionListener {
  readonly #options: RunsOptions;
  readonly #active = new Map<string, Active>();
  /** Null: without a socket. */
  #connection: Connection | null;
  readonly #calls: ExecutionCalls;
  readonly #resumed: ResumedRuns;
  #sessionTools: Tools = {};

  constructor(options: RunsOptions) {
    this.#options = options;
    const { rest, socket, resumeTimeoutMs } = options;
    this.#calls = new ExecutionCalls(rest);
    this.#resumed = new ResumedRuns({ rest, calls: this.#calls, resumeTimeoutMs });
    this.#connection = socket === null ? null : new Connection({ ...options, socket, listener: this });
  }

  /** Null where calls go over HTTP. */
  get connection(): Connection | null {
    return this.#connection;
  }

  /** Answers the calls of these tools by any execution of the session, beside those of each run. */
  answerTools(tools: Tools): void {
    this.#sessionTools = tools;
  }

  start(code: string, settings: RunSettings): Run {
    const id = settings.id ?? crypto.randomUUID();
    const { signal } = settings;
    const answering = this.#answeringFor(id, settings);
    const run = new Run({
      executionId: id,
      keepsOutput: settings.keepOutput !== false,
      reach: this,
      listen: (event) => answering.take(event),
    });
    if (signal?.aborted) {
      run.fail(signal.reason);
      return run;
    }
    if (this.#active.has(id) || this.#resumed.has(id)) {
      run.fail(new Error(`A run with the id ${id} is not over yet.`));
      return run;
    }
    const { traceparent } = this.#options.rest.endpoint;
    const fields = executeFields(code, id, { ...(traceparent === undefined ? {} : { traceparent }), ...settings });
    this.#active.set(id, { run, fields, retries: 0, mayRepeat: settings.id !== undefined, answers: new Map() });
    const onAbort = () => void run.cancel().catch((error: unknown) => run.fail(error));
    signal?.addEventListener("abort", onAbort, { once: true });
    const forget = () => {
      this.#active.delete(id);
      signal?.removeEventListener("abort", onAbort);
      this.progressed();
    };
    run.then(forget, forget);
    this.#send(run, fields);
    return run;
  }

  /** Takes up an execution that was submitted elsewhere. @throws Error if this client has its run already. */
  resume(id: string, settings: ResumeSettings): Run {
    if (this.#active.has(id) || this.#resumed.has(id)) {
      throw new Error(`A run with the id ${id} is not over yet.`);
    }
    return this.#resumed.resume(id, settings, this.#sessionTools);
  }

  async cancel(executionId: string): Promise<void> {
    if (this.#connection !== null) await this.#connection.ask({ type: "cancel", execution_id: executionId }, true);
    else await this.#calls.cancel(executionId);
  }

  async answerInput(executionId: string, inputId: string, value: string | null): Promise<void> {
    if (this.#connection === null) {
      await this.#calls.answerInput(executionId, inputId, value);
      return;
    }
    const message = { type: "input_response", input_id: inputId, value } as const;
    this.#active.get(executionId)?.answers.set(inputId, message);
    this.#connection.send(message);
  }

  /** Slows the service down while a loop is behind. */
  progressed(): void {
    let waiting = 0;
    for (const { run } of this.#active.values()) waiting += run.waitingChars;
    this.#connection?.hold(waiting > WAITING_CHARS);
  }

  close(): void {
    this.#connection?.close();
    const error = new ClientError("closed", "The client was closed.");
    this.#failAll(error);
    this.#resumed.fail(error);
  }

  message(message: Incoming): void {
    const event = eventOf(message);
    if (event !== null) this.#takeEvent(event);
    else if (message.type === "problem") this.#takeProblem(message.id, message.data);
    else if (message.type === "gap") this.#takeGap(message.data.from, message.data.to);
    else if (message.type === "session") this.#options.session(message.data);
  }

  opened(): void {
    for (const active of this.#active.values()) {
      if (active.run.lastSeq > 0) active.mayRepeat = true;
      // The id makes it run once, and brings the events of one that the service has already.
      else this.#connection?.send({ type: "execute", ...active.fields });
    }
  }

  attached(data: Attached, isAnother: boolean): void {
    const pending = new Set(data.pending_tool_calls.map(({ call_id: id }) => id as string));
    if (data.pending_input !== null) pending.add(data.pending_input.input_id);
    for (const { answers } of this.#active.values()) {
      for (const [id, message] of answers) {
        if (pending.has(id)) this.#connection?.send(message);
      }
    }
    if (!isAnother) return;
    for (const { run } of this.#active.values()) {
      if (run.lastSeq > 0)
        run.fail(new ClientError("not_found", "The session expired while the connection was broken."));
    }
  }

  failed(error: ClientError): void {
    this.#failAll(error);
  }

  withoutSocket(): void {
    this.#connection = null;
    for (const { run, fields } of this.#active.values()) this.#send(run, fields);
  }

  state(state: ConnectionState): void {
    this.#options.state(state);
  }

  isBusy(): boolean {
    return this.#active.size > 0;
  }

  #answeringFor(id: string, settings: RunSettings): Answering {
    return new Answering({
      settings,
      toolOf: (name) => settings.tools?.[name] ?? this.#sessionTools[name],
      isPending: (event) => this.#isPending(id, event),
      sendInput: (inputId, value) => this.answerInput(id, inputId, value),
      sendToolResult: (answer) => this.#answerTool(id, answer),
      failed: (error) => this.#failed(id, error),
    });
  }

  #send(run: Run, fields: ExecuteFields): void {
    const { rest, resumeTimeoutMs } = this.#options;
    if (this.#connection === null) {
      runOverHttp(rest, run, fields, resumeTimeoutMs).catch((error: unknown) => run.fail(error));
      return;
    }
    try {
      this.#connection.open();
      this.#connection.send({ type: "execute", ...fields });
    } catch (error) {
      run.fail(error);
    }
  }

  #takeEvent(event: WireEvent): void {
    const { execution_id: id } = event.data;
    const active = this.#active.get(id);
    if (active === undefined) {
      // Code that another client of the session runs may call this one's tools. A resumed run has its own events.
      if (event.type === "tool_call" && !this.#resumed.has(id)) this.#answeringFor(id, {}).take(event);
      return;
    }
    if (event.type === "tool_done") active.answers.delete(event.data.call_id);
    active.run.take(event);
  }

  #takeProblem(id: string | undefined, problem: Extract<Incoming, { type: "problem" }>["data"]): void {
    const active = id === undefined ? undefined : this.#active.get(id);
    if (active === undefined) return;
    const { code, retry_after: seconds = 1 } = problem;
    if (code !== "rate_limited" || active.retries >= MAX_RETRIES) {
      active.run.fail(ClientError.of(problem));
      return;
    }
    active.retries += 1;
    setTimeout(() => {
      if (!active.run.isOver) this.#send(active.run, active.fields);
    }, seconds * 1000);
  }

  /** Events are no longer kept; an ending may be among them, so each execution is looked at. */
  #takeGap(from: number, to: number): void {
    for (const { run, fields } of this.#active.values()) {
      run.takeGap(from, to);
      if (this.#connection !== null) void this.#endOfRecord(run, fields.id);
    }
  }

  /** Takes the ending from the execution's record, where it has one that did not come. */
  async #endOfRecord(run: Run, id: string): Promise<void> {
    try {
      const { result, error, last_seq: seq } = await this.#calls.record(id);
      const ending = result ?? error;
      if (ending === null || seq === null) return;
      run.take(ending.type === "result" ? { type: "result", seq, data: ending } : { type: "error", seq, data: ending });
    } catch (error) {
      if (!(error instanceof ClientError)) run.fail(error);
    }
  }

  async #isPending(id: string, event: WireEvent): Promise<boolean> {
    if (this.#active.get(id)?.mayRepeat === false) return true;
    return this.#calls.isPending(id, event);
  }

  async #answerTool(id: string, answer: ToolAnswer): Promise<void> {
    if (this.#connection === null) {
      await this.#calls.answerTool(id, answer);
      return;
    }
    const message = { type: "tool_result", ...answer } as const;
    this.#active.get(id)?.answers.set(answer.call_id, message);
    this.#connection.send(message);
  }

  #failed(id: string, error: unknown): void {
    // The call is over by now, by a timeout or another client's answer.
    if (error instanceof ClientError && error.code === "not_found") return;
    this.cancel(id).catch(() => undefined);
    this.#active.get(id)?.run.fail(error);
  }

  #failAll(error: ClientError): void {
    for (const { run } of [...this.#active.values()]) run.fail(error);
  }
}
