/** A runner for tests of the edge: speaks the link and holds blobs as docs/link.md says, and runs small scripts instead of Python. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type WebSocket, WebSocketServer } from "ws";
import { encodeEventFrame, type LinkEvent, LinkRequest } from "../../src/protocol/link.ts";

type Request = LinkRequest;
type EventType = LinkEvent["type"];
type ExecutionId = LinkEvent["executionId"];
interface Waiting {
  executionId: ExecutionId;
  lines: string[];
  /** Unix seconds; told with its first event. */
  startedAt: number | null;
}

/** One session: its state is the list of values that scripts have pushed. */
class ScriptedSession {
  readonly key: string;
  /** Whose it is. */
  readonly object: string;
  readonly ran: string[] = [];
  /** The state before each of them. */
  readonly before: unknown[][] = [];
  state: unknown[] = [];
  snapshots = new Map<string, unknown[]>();
  blobs = new Map<string, Buffer>();
  ring: LinkEvent[] = [];
  frameLimit = 0;
  stays = 0;
  keptOutput: { head_bytes: number; tail_bytes: number } | null = null;
  seq: number;
  link: WebSocket | null = null;
  links = 0;
  sent = 0;
  credit = 0;
  durable = 0;
  known = new Map<string, string>();
  queue: Waiting[] = [];
  running: Waiting | null = null;
  input: { input_id: string; prompt: string; password: boolean; timeout: number; execution_id: ExecutionId } | null =
    null;
  /** Tool calls that wait, and the tools of the newest execution. */
  calls = new Map<string, { call_id: string; name: string; arguments: object; batch: string; timeout: number }>();
  offered: readonly { name: string; python_name: string }[] = [];
  toolResults: { call_id: string; value?: unknown; error?: unknown }[] = [];
  /** Takes no answers to tool calls, as if they were lost on the way. */
  isDeaf = false;
  /** Checkpoints that are answered later, if they are held. */
  heldCheckpoints: (() => void)[] | null = null;
  env: Record<string, string> = {};
  /** Files by path; each read waits for `releaseFiles`, if that is set. */
  files = new Map<string, Buffer>();
  filesGate: PromiseWithResolvers<void> | null = null;
  #inputs = 0;
  #calls = 0;

  constructor(key: string, object: string, base: number) {
    this.key = key;
    this.object = object;
    this.seq = base;
  }

  emit(type: EventType, executionId: ExecutionId, data: object): void {
    this.seq += 1;
    const frame = JSON.stringify({
      type,
      seq: this.seq,
      data: {
        id: `${executionId}.${this.seq}`,
        timestamp: Date.now() / 1000,
        type,
        execution_id: executionId,
        ...data,
      },
    });
    const startedAt = this.running?.startedAt ?? undefined;
    if (this.running !== null) this.running.startedAt = null;
    this.ring.push({ seq: this.seq, type, executionId, frame, bytes: Buffer.byteLength(frame), startedAt });
    this.pump();
  }

  pump(): void {
    for (const event of this.ring) {
      if (event.seq <= this.sent) continue;
      if (this.link === null || this.link.readyState !== this.link.OPEN) return;
      if (["output", "display", "clear_output"].includes(event.type) && this.credit <= 0) return;
      this.sent = event.seq;
      this.credit -= event.bytes;
      this.link.send(encodeEventFrame(event));
    }
  }

  submit(executionId: ExecutionId, code: string): void {
    if (this.known.has(executionId)) return;
    this.known.set(executionId, code);
    this.ran.push(executionId);
    this.before.push([...this.state]);
    this.queue.push({ executionId, lines: code.split("\n"), startedAt: null });
    this.next();
  }

  next(): void {
    while (this.running === null) {
      const next = this.queue.shift();
      if (next === undefined) return;
      this.running = next;
      next.startedAt = Date.now() / 1000;
      this.step();
    }
  }

  /** Runs lines until one has to wait, or the script ends. */
  step(): void {
    const running = this.running;
    if (running === null) return;
    const id = running.executionId;
    let value: unknown = null;
    for (let line = running.lines.shift(); line !== undefined; line = running.lines.shift()) {
      const [word = "", ...rest] = line.split(" ");
      const text = rest.join(" ");
      if (word === "print") this.emit("output", id, { data: `${text}\n`, stream: "stdout" });
      else if (word === "flood") {
        const [count = 0, size = 0] = rest.map(Number);
        for (let at = 0; at < count; at += 1) {
          this.emit("output", id, { data: String(at).padStart(size, "."), stream: "stdout" });
        }
      } else if (word === "clear") this.emit("clear_output", id, { wait: text === "wait" });
      else if (word === "display") {
        // A text of that many characters.
        this.emit("display", id, { mime: { "text/plain": "d".repeat(Number(text)) }, metadata: {} });
      } else if (word === "push") this.state.push(JSON.parse(text));
      else if (word === "state") value = [...this.state];
      else if (word === "value") value = JSON.parse(text);
      else if (word === "input") {
        this.#inputs += 1;
        this.input = { input_id: `in-${this.#inputs}`, prompt: text, password: false, timeout: 30, execution_id: id };
        const { execution_id: _, ...data } = this.input;
        this.emit("input", id, data);
        return;
      } else if (word === "tool") {
        this.#call(id, rest);
        return;
      } else if (word === "hold") return;
      else if (word === "fail") {
        this.fail("exception", text);
        return;
      }
    }
    const transaction = "committed";
    this.emit("result", id, { value, repr: JSON.stringify(value), execution_time: 0.001, transaction });
    this.running = null;
  }

  /** `tool NAME COUNT`: calls that are raised together. */
  #call(id: ExecutionId, [name = "", count = "1"]: string[]): void {
    for (let left = Number(count); left > 0; left -= 1) {
      this.#calls += 1;
      const call_id = `call-${this.#calls}`;
      const call = { call_id, name, arguments: { n: this.#calls }, batch: `b-${id}`, timeout: 30 };
      this.calls.set(call_id, call);
      this.emit("tool_call", id, call);
    }
  }

  /** @returns false if no call of that id waits. */
  answerTool(result: { call_id: string; value?: unknown; error?: unknown }): boolean {
    const id = this.running?.executionId;
    const call = this.calls.get(result.call_id);
    if (call === undefined || id === undefined) return false;
    this.toolResults.push({ call_id: result.call_id, value: result.value, error: result.error });
    this.endCall(call.call_id, result.error === undefined ? "ok" : "error");
    if (this.calls.size > 0) return true;
    this.step();
    this.next();
    return true;
  }

  endCall(callId: string, status: string): void {
    const name = this.calls.get(callId)?.name;
    this.calls.delete(callId);
    const id = this.running?.executionId;
    if (id !== undefined) this.emit("tool_done", id, { call_id: callId, name, status, duration: 0.001 });
  }

  fail(reason: string, message: string): void {
    for (const callId of [...this.calls.keys()]) this.endCall(callId, "cancelled");
    const id = this.running?.executionId;
    this.running = null;
    this.input = null;
    if (id !== undefined) this.error(id, reason, message);
  }

  error(id: ExecutionId, reason: string, message: string): void {
    this.emit("error", id, {
      exception_type: "ScriptedError",
      exception_message: message,
      traceback: "",
      execution_time: 0.001,
      reason,
      transaction: "committed",
      state: "kept",
    });
  }

  status() {
    return {
      state: this.running === null ? "ready" : "busy",
      last_seq: this.seq,
      running: this.running?.executionId ?? null,
      running_since: this.running === null ? null : Date.now() / 1000,
      queued: this.queue.map((one) => one.executionId),
      pending_input: this.input,
      pending_tool_calls: [...this.calls.values()].map((call) => ({
        ...call,
        execution_id: this.running?.executionId ?? "",
      })),
    };
  }
}

export interface ScriptedRunner {
  url: string;
  stop(): Promise<void>;
}

/** Starts it on a free port. `POST /control/<word>` steers it; see `control`. */
export async function startScriptedRunner(): Promise<ScriptedRunner> {
  const sessions = new Map<string, ScriptedSession>();
  const refusals = new Set<string>();
  const singleRefusals = new Set<string>();
  /** Objects whose next interpreter is gone when its state comes, while its link is still open. */
  const deaths = new Set<string>();
  const server: Server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 64 * 1024 * 1024 });

  server.on("upgrade", (request, socket, head) => {
    const key = /^\/v1\/sessions\/([^/]+)\/link$/.exec(request.url ?? "")?.[1];
    if (key === undefined) return socket.destroy();
    return sockets.handleUpgrade(request, socket, head, (ws) => serveLink(key, ws));
  });

  function serveLink(key: string, ws: WebSocket): void {
    let session: ScriptedSession | null = null;
    const tell = (reply: object) => ws.send(JSON.stringify(reply));
    ws.on("message", (raw) => {
      const request = LinkRequest.parse(JSON.parse(raw.toString()));
      if (request.type !== "open") {
        if (session !== null) obey(session, request, tell);
        return;
      }
      const known = sessions.get(key);
      const isRefused = singleRefusals.delete(request.object) || refusals.has(request.object);
      if (isRefused || (known === undefined && !request.create)) {
        tell({ type: "refused", code: isRefused ? "pool_exhausted" : "not_found", detail: "scripted" });
        ws.close(1000);
        return;
      }
      session = known ?? new ScriptedSession(key, request.object, request.base);
      sessions.set(key, session);
      session.link?.close(4001);
      session.link = ws;
      session.links += 1;
      session.sent = request.after;
      session.credit = request.credit;
      tell({ type: "opened", created: known === undefined, runner_id: "scripted", version: "0", ...session.status() });
      session.pump();
    });
    ws.on("close", () => {
      if (session?.link === ws) session.link = null;
    });
  }

  function obey(session: ScriptedSession, request: Exclude<Request, { type: "open" }>, tell: (reply: object) => void) {
    switch (request.type) {
      case "durable":
        session.durable = Math.max(session.durable, request.seq);
        session.ring = session.ring.filter((event) => event.seq > request.seq);
        return;
      case "credit":
        session.credit += request.bytes;
        session.pump();
        return;
      case "tool_result":
        if (session.isDeaf) return;
        if (session.answerTool(request)) tell({ type: "done", ref: request.ref });
        else tell({ type: "failed", ref: request.ref, code: "not_found", detail: "nothing waits" });
        return;
      case "execute":
        session.offered = request.tools ?? [];
        session.submit(request.execution_id, request.code);
        return;
      case "input_response":
        if (session.input?.input_id !== request.input_id) {
          tell({ type: "failed", ref: request.ref, code: "not_found", detail: "nothing waits" });
          return;
        }
        session.input = null;
        tell({ type: "done", ref: request.ref });
        session.emit("output", session.running?.executionId as ExecutionId, {
          data: `got ${request.value}\n`,
          stream: "stdout",
        });
        session.step();
        session.next();
        return;
      case "cancel": {
        const at = session.queue.findIndex((one) => one.executionId === request.execution_id);
        if (at >= 0) session.queue.splice(at, 1);
        tell({ type: "done", ref: request.ref });
        if (at >= 0) session.error(request.execution_id, "cancelled", "cancelled");
        else session.fail("cancelled", "cancelled");
        session.next();
        return;
      }
      case "interrupt":
        tell({ type: "done", ref: request.ref, execution_id: session.running?.executionId ?? null });
        session.fail("interrupted", "interrupted");
        session.next();
        return;
      case "reset":
        session.fail("cancelled", "reset");
        session.state = [];
        tell({ type: "done", ref: request.ref });
        return;
      case "complete":
        tell({ type: "completions", ref: request.ref, data: { matches: ["x"], cursor_start: 0, cursor_end: 1 } });
        return;
      case "is_complete":
        tell({ type: "completeness", ref: request.ref, data: { status: "complete" } });
        return;
      case "checkpoint": {
        const blob = Buffer.from(JSON.stringify(session.state));
        session.snapshots.set(request.checkpoint_id, [...session.state]);
        session.blobs.set(request.checkpoint_id, blob);
        const tellTaken = () =>
          tell({
            type: "checkpoint_taken",
            ref: request.ref,
            checkpoint_id: request.checkpoint_id,
            size: blob.length,
            sha256: createHash("sha256").update(blob).digest("hex"),
            skipped: [],
            pause: 0.001,
          });
        if (session.heldCheckpoints === null) tellTaken();
        else session.heldCheckpoints.push(tellTaken);
        return;
      }
      case "restore": {
        const snapshot = session.snapshots.get(request.checkpoint_id);
        const blob = session.blobs.get(request.checkpoint_id);
        if (snapshot === undefined && !request.blob) {
          tell({ type: "blob_required", ref: request.ref, checkpoint_id: request.checkpoint_id });
          return;
        }
        session.state = snapshot !== undefined ? [...snapshot] : JSON.parse(blob?.toString() ?? "[]");
        const source = snapshot !== undefined ? "snapshot" : "stored";
        tell({ type: "restored", ref: request.ref, checkpoint_id: request.checkpoint_id, source, missing: [] });
        return;
      }
      case "undo": {
        const at = session.ran.indexOf(request.execution_id ?? session.ran.at(-1) ?? "");
        const before = session.before[at];
        if (before === undefined) {
          tell({ type: "failed", ref: request.ref, code: "undo_unavailable", detail: "not kept" });
          return;
        }
        const undone = session.ran[at] ?? "";
        session.state = before;
        session.ran.splice(at);
        session.before.splice(at);
        tell({ type: "undone", ref: request.ref, execution_id: undone });
        return;
      }
      case "stay":
        session.stays += 1;
        return;
      case "keep_output":
        session.keptOutput = request.limit;
        return;
      case "frame_limit":
        session.frameLimit = request.bytes;
        return;
      case "drop_checkpoint":
        session.snapshots.delete(request.checkpoint_id);
        return;
      case "variables":
        tell({ type: "variables", ref: request.ref, data: { variables: [], truncated: false } });
        return;
      case "env":
        session.env = request.values;
        return;
      case "status":
        tell({
          type: "status",
          ref: request.ref,
          ...session.status(),
          resident_bytes: 1,
          limit_bytes: 2,
          snapshots: 0,
          undo: [...session.ran].reverse(),
        });
        return;
      default:
        request satisfies never;
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://runner");
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    if (pathname.startsWith("/control/")) {
      const told = control(pathname.slice("/control/".length), body.toString());
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(told ?? null));
      return;
    }
    const ofFiles = /^\/v1\/sessions\/([^/]+)\/files(\/content)?$/.exec(pathname);
    if (ofFiles !== null) {
      await answerFiles(sessions.get(ofFiles[1] ?? ""), request, response, body);
      return;
    }
    const [, key = "", id] = /^\/v1\/sessions\/([^/]+)(?:\/checkpoints\/([^/]+))?$/.exec(pathname) ?? [];
    const session = sessions.get(key);
    if (session === undefined) {
      response.writeHead(404).end();
    } else if (id === undefined) {
      session.link?.close(1000);
      sessions.delete(key);
      response.writeHead(204).end();
    } else if (request.method === "GET") {
      const blob = session.blobs.get(id);
      if (blob === undefined) response.writeHead(404).end();
      else response.writeHead(200, { "content-length": blob.length }).end(blob);
    } else if (request.method === "PUT" && deaths.delete(session.object)) {
      response.writeHead(404).end();
    } else if (request.method === "PUT") {
      const isRight = createHash("sha256").update(body).digest("hex") === request.headers["x-content-sha256"];
      if (isRight) session.blobs.set(id, body);
      response.writeHead(isRight ? 204 : 400).end();
    } else {
      session.blobs.delete(id);
      response.writeHead(204).end();
    }
  }

  /** Writes and reads whole files; a listing tells what the request was. */
  async function answerFiles(
    session: ScriptedSession | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
  ): Promise<void> {
    const url = new URL(request.url ?? "/", "http://runner");
    const path = url.searchParams.get("path") ?? "";
    const file = session?.files.get(path);
    const answer = (status: number, value: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    const refuse = (status: number, code: string) => answer(status, { status, code, detail: "scripted" });
    if (session === undefined) refuse(503, "no_runner");
    else if (request.method === "PUT") {
      session.files.set(path, body);
      answer(file === undefined ? 201 : 200, { path, size: body.length, etag: '"1"' });
    } else if (!url.pathname.endsWith("/content")) {
      const entries = [...session.files].map(([at, { length }]) => ({
        path: at,
        type: "file",
        size: length,
        modified_at: 1,
      }));
      answer(200, { path, entries, truncated: url.searchParams.get("recursive") === "true" });
    } else if (file === undefined) refuse(404, "not_found");
    else {
      response.writeHead(200, { "content-length": file.length, etag: '"1"' });
      response.write(file.subarray(0, 1));
      await session.filesGate?.promise;
      if (request.headers.range === "broken") response.destroy();
      else response.end(file.subarray(1));
    }
  }

  /** `body` is the object whose sessions the command means, or the key of one. */
  function control(command: string, body: string): unknown {
    const meant = [...sessions.values()].filter((session) => session.object === body || session.key === body);
    switch (command) {
      case "sessions":
        return meant.map(
          ({ key, links, durable, ran, ring, state, credit, link, offered, toolResults, env, ...session }) => ({
            key,
            heldCheckpoints: session.heldCheckpoints?.length ?? 0,
            offered,
            toolResults,
            env,
            links,
            durable,
            ran,
            ringed: ring.length,
            state,
            credit,
            isLinked: link !== null,
          }),
        );
      case "release":
        for (const session of meant) {
          session.step();
          session.next();
        }
        return null;
      case "hold-files":
        for (const session of meant) session.filesGate = Promise.withResolvers();
        return null;
      case "release-files":
        for (const session of meant) session.filesGate?.resolve();
        return null;
      case "hold-checkpoints":
        for (const session of meant) session.heldCheckpoints = [];
        return null;
      case "release-checkpoints":
        for (const session of meant) {
          for (const tellTaken of session.heldCheckpoints ?? []) tellTaken();
          session.heldCheckpoints = null;
        }
        return null;
      case "deafen":
      case "hear":
        for (const session of meant) session.isDeaf = command === "deafen";
        return null;
      case "cut":
        for (const session of meant) session.link?.terminate();
        return null;
      case "kill":
        for (const session of meant) {
          sessions.delete(session.key);
          session.link?.terminate();
        }
        return null;
      case "drain":
        for (const session of meant) session.link?.send(JSON.stringify({ type: "draining" }));
        return null;
      case "forget-snapshots":
        for (const session of meant) session.snapshots.clear();
        return null;
      case "die-before-state":
        deaths.add(body);
        return null;
      case "refuse-once":
        singleRefusals.add(body);
        return null;
      case "refuse":
        refusals.add(body);
        return null;
      case "accept":
        refusals.delete(body);
        return null;
      default:
        throw new Error(`no such command: ${command}`);
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    stop: () =>
      new Promise((resolve) => {
        for (const ws of sockets.clients) ws.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
