/** Owns the SDK's surface: every call on one session. The runs are `Runs`'; the calls about anything else are made here. */
import type { z } from "zod";
import type { BranchOutcome, UndoOutcome } from "../protocol/branch.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import type { CheckpointList, Execution, ExecutionList } from "../protocol/rest.ts";
import type { Checkpoint, Completeness, Completions, RestoreOutcome } from "../protocol/server-message.ts";
import type {
  EnvironmentList,
  SessionBody,
  SessionList,
  SessionOverview,
  VariableList,
} from "../protocol/session-resource.ts";
import type { ToolBindings } from "../protocol/tool.ts";
import { ClientError } from "./client-error.ts";
import type { ConnectionState } from "./connection.ts";
import { codePointsBefore, positionAfter } from "./cursor.ts";
import { Endpoint, type EndpointOptions, type SocketConstructor } from "./endpoint.ts";
import { Files } from "./files.ts";
import type { Outcome } from "./outcome.ts";
import { Rest } from "./rest.ts";
import type { Run } from "./run.ts";
import { declarationsOf, type ResumeSettings, type RunSettings, type Tools } from "./run-options.ts";
import { Runs } from "./runs.ts";
import { inTransaction, type Transaction } from "./transaction.ts";
import type { Incoming, Outgoing } from "./wire.ts";

const WINDOW_BYTES = 4 * 1024 * 1024;
const OPEN_TIMEOUT_MS = 10_000;
const RESUME_TIMEOUT_MS = 300_000;

export interface ClientOptions extends EndpointOptions {
  /** The WebSocket to use (default: the runtime's own); null: everything goes over HTTP. */
  WebSocket?: SocketConstructor | null;
  /** Seq of the last event that an earlier client has seen. */
  after?: number;
  /** Bytes that may be on the way unacknowledged (default 4 MiB). */
  windowBytes?: number;
  /** Milliseconds that the first connection may take (default 10,000), and each later one (default 300,000). */
  openTimeoutMs?: number;
  resumeTimeoutMs?: number;
  /** The session has another state, for example because its runner was lost. */
  onSession?(state: Extract<Incoming, { type: "session" }>["data"]): void;
  onConnection?(state: ConnectionState): void;
}

function runtimeSocket(): SocketConstructor | null {
  return (globalThis as { WebSocket?: SocketConstructor }).WebSocket ?? null;
}

export class Client {
  readonly #options: ClientOptions;
  readonly #endpoint: Endpoint;
  readonly #rest: Rest;
  readonly #runs: Runs;
  /** The workspace of the session. */
  readonly files: Files;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#endpoint = new Endpoint(options);
    this.#rest = new Rest(this.#endpoint);
    this.files = new Files(this.#rest);
    this.#runs = new Runs({
      rest: this.#rest,
      socket: options.WebSocket === undefined ? runtimeSocket() : options.WebSocket,
      windowBytes: options.windowBytes ?? WINDOW_BYTES,
      after: options.after ?? null,
      openTimeoutMs: options.openTimeoutMs ?? OPEN_TIMEOUT_MS,
      resumeTimeoutMs: options.resumeTimeoutMs ?? RESUME_TIMEOUT_MS,
      session: (state) => options.onSession?.(state),
      state: (state) => options.onConnection?.(state),
    });
  }

  get clientId(): string {
    return this.#endpoint.clientId;
  }

  get session(): string {
    return this.#endpoint.session;
  }

  /** Seq of the last event that came over the socket; null before the first. A later client goes on from it with `after`. */
  get lastSeq(): number | null {
    return this.#runs.connection?.lastSeq ?? null;
  }

  /** Runs code. Await the run for its outcome, or loop over it for its events. @throws ClientError from the run where it cannot be done. */
  run(code: string, settings: RunSettings = {}): Run {
    return this.#runs.start(code, settings);
  }

  /**
   * Takes up an execution that another program submitted, or an earlier client with this client id: its events come from the
   * first one on, as far as the service keeps them.
   *
   * @throws ClientError from the run: `not_found` if the service does not know the id.
   * @example
   * const { stdout } = await python.resume(executionId, { onOutput: (text) => console.log(text) });
   */
  resume(executionId: string, settings: ResumeSettings = {}): Run {
    return this.#runs.resume(executionId, settings);
  }

  /** Interrupts what runs now, as Ctrl-C does. @returns its execution id; null where nothing runs. */
  async interrupt(): Promise<string | null> {
    const answer = await this.#askOr("interrupted", { type: "interrupt" }, false, async () => {
      await this.#rest.json("POST", "session/interrupt", { json: { session: this.session } });
      return { execution_id: null };
    });
    return answer.execution_id;
  }

  /** Gives the session a fresh interpreter; its checkpoints stay. */
  async reset(): Promise<void> {
    await this.#askOr("session", { type: "reset" }, false, async () => {
      await this.#rest.json("POST", "session/reset", { json: { session: this.session } });
      return null;
    });
  }

  /** Completes code at a position of `code` (default: its end); both positions of the answer count as JavaScript does. */
  async complete(code: string, position = code.length): Promise<z.infer<typeof Completions>> {
    const cursor = codePointsBefore(code, position);
    const found = await this.#askOr("completions", { type: "complete", code, cursor }, true, () =>
      this.#rest.json<z.infer<typeof Completions>>("POST", "complete", {
        json: { code, cursor, session: this.session },
      }),
    );
    return {
      matches: found.matches,
      cursor_start: positionAfter(code, found.cursor_start),
      cursor_end: positionAfter(code, found.cursor_end),
    };
  }

  /** Whether code is complete, goes on in the next line, or is not valid. */
  isComplete(code: string): Promise<z.infer<typeof Completeness>> {
    return this.#askOr("completeness", { type: "is_complete", code }, true, () =>
      this.#rest.json("POST", "is-complete", { json: { code, session: this.session } }),
    );
  }

  /** Saves the session's state. */
  checkpoint(name?: string): Promise<Checkpoint> {
    const named = name === undefined ? {} : { name };
    return this.#askOr("checkpoint_created", { type: "checkpoint", ...named }, false, () =>
      this.#rest.json("POST", "checkpoint", { json: { ...named, session: this.session } }),
    );
  }

  /** Goes back to a checkpoint. With `clearExisting: false` names that it lacks stay. */
  restore(checkpointId: string, { clearExisting = true } = {}): Promise<RestoreOutcome> {
    const fields = { clear_existing: clearExisting };
    return this.#askOr("restored", { type: "restore", checkpoint_id: checkpointId, ...fields }, true, () =>
      this.#rest.json("POST", `restore/${encodeURIComponent(checkpointId)}`, {
        json: { ...fields, session: this.session },
      }),
    );
  }

  async checkpoints(): Promise<Checkpoint[]> {
    const query = { session: this.session };
    return (await this.#rest.json<z.infer<typeof CheckpointList>>("GET", "checkpoints", { query })).checkpoints;
  }

  async deleteCheckpoint(checkpointId: string): Promise<void> {
    const query = { session: this.session };
    await this.#rest.json("DELETE", `checkpoints/${encodeURIComponent(checkpointId)}`, { query });
  }

  /**
   * Offers tools to all code of the session, in place of those offered before. Code that other clients run calls them too,
   * while this client is connected.
   *
   * @returns the name that each has in Python.
   */
  async offerTools(tools: Tools): Promise<Record<string, string>> {
    const declared = declarationsOf(tools);
    const answer = await this.#askOr("tools", { type: "tools", tools: declared }, true, () =>
      this.#rest.json<ToolBindings>("PUT", "session/tools", { json: { tools: declared, session: this.session } }),
    );
    this.#runs.answerTools(tools);
    return Object.fromEntries(answer.tools.map(({ name, python_name: pythonName }) => [name, pythonName]));
  }

  /**
   * Installs packages into the session, for example `["requests==2.32.0"]`, as pip reads them.
   *
   * @returns the outcome of the installation: its output is pip's, and what failed is in `error`.
   * @throws ClientError `packages_disabled` if the service installs none.
   */
  async install(
    requirements: readonly string[],
    settings: Pick<RunSettings, "onOutput" | "signal"> = {},
  ): Promise<Outcome> {
    const accepted = await this.#rest.json<{ execution_id: string }>("POST", "packages", {
      json: { requirements, session: this.session },
    });
    return this.resume(accepted.execution_id, settings);
  }

  /** Calls `work` with a transaction. Where it throws, the session is as it was before. @throws what `work` throws. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return inTransaction(this, work);
  }

  /** One page of the session's executions, newest first; `next` is the `before` of the page after it. */
  executions(page: { limit?: number; before?: string } = {}): Promise<z.infer<typeof ExecutionList>> {
    return this.#rest.json("GET", "executions", { query: { session: this.session, ...page } });
  }

  execution(executionId: string): Promise<Execution> {
    return this.#rest.json("GET", `executions/${encodeURIComponent(executionId)}`);
  }

  /** The session's state, counts, memory and what it waits for. */
  overview(): Promise<SessionOverview> {
    return this.#rest.json("GET", "session", { query: { session: this.session } });
  }

  /** Every session of the client. */
  async sessions(): Promise<SessionOverview[]> {
    return (await this.#rest.json<z.infer<typeof SessionList>>("GET", "sessions")).sessions;
  }

  /** Makes the session, or changes its environment variables and its patience. */
  configure(settings: SessionBody): Promise<SessionOverview> {
    return this.#rest.json("PUT", `sessions/${encodeURIComponent(this.session)}`, { json: settings });
  }

  /** A client of another session of the same client id; it is closed on its own. */
  openSession(session: string): Client {
    // What was seen last is the other session's.
    const { after: _, ...options } = this.#options;
    return new Client({ ...options, clientId: this.clientId, session });
  }

  /**
   * Makes a session with this one's state as it is now, or as in a checkpoint; both go on by themselves. Open it with `openSession`.
   *
   * @returns the new session, and in `missing` what could not be brought over.
   */
  branch(name: string, { checkpointId }: { checkpointId?: string } = {}): Promise<BranchOutcome> {
    const overHttp = () =>
      this.#rest.json<BranchOutcome>("POST", "session/branch", {
        json: { session: this.session, name, ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }) },
      });
    return checkpointId === undefined ? this.#askOr("branched", { type: "branch", name }, false, overHttp) : overHttp();
  }

  /**
   * Goes back to the state right before an execution, or before the last one; files stay as they are.
   *
   * @throws ClientError `undo_unavailable` if the service no longer keeps that state.
   */
  undo(executionId?: string): Promise<UndoOutcome> {
    const which = executionId === undefined ? {} : { execution_id: executionId };
    return this.#askOr("undone", { type: "undo", ...which }, false, () =>
      this.#rest.json("POST", "session/undo", { json: { session: this.session, ...which } }),
    );
  }

  /** Ends the session's interpreter; with `purge` its journal and checkpoints too. */
  async endSession({ purge = false } = {}): Promise<void> {
    await this.#rest.json("DELETE", "session", { query: { session: this.session, purge } });
  }

  /** The names that the session's code has bound, newest first. */
  variables(): Promise<VariableList> {
    return this.#rest.json("GET", "session/variables", { query: { session: this.session } });
  }

  async environments(): Promise<z.infer<typeof EnvironmentList>["environments"]> {
    return (await this.#rest.json<z.infer<typeof EnvironmentList>>("GET", "environments")).environments;
  }

  /** Python's version, the sandbox and the limits. */
  capabilities(): Promise<Capabilities> {
    return this.#rest.json("GET", "capabilities");
  }

  /** Closes the connection. The session goes on; runs that are not over fail with `closed`. */
  close(): void {
    this.#runs.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Asks over the socket, so that it is in order with the runs; over HTTP where there is no socket. */
  async #askOr<T extends Incoming["type"], A = Extract<Incoming, { type: T }>["data"]>(
    type: T,
    message: Outgoing,
    isRepeatable: boolean,
    overHttp: () => Promise<A>,
  ): Promise<A> {
    const { connection } = this.#runs;
    if (connection === null) return overHttp();
    const answer = await connection.ask(message, isRepeatable);
    if (answer.type === type) return answer.data as A;
    throw new ClientError("unexpected_answer", `${message.type} was answered by ${answer.type}.`);
  }
}
