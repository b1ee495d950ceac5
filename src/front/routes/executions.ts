/** Owns the REST calls about executions: start one, read it, follow its events, answer its input, cancel it. */
import { z } from "@hono/zod-openapi";
import { ProblemError } from "../../problem.ts";
import { ExecutionId, MessageId } from "../../protocol/identity.ts";
import { ExecuteAccepted, ExecuteBody, Execution, ExecutionList, InputBody } from "../../protocol/rest.ts";
import { type EventStreamFormat, newExecutionId } from "../../session-calls.ts";
import { answerExecution } from "../answer-execution.ts";
import type { FrontContext } from "../context.ts";
import { checked, readBody, readQuery } from "../request-body.ts";
import {
  addRoute,
  ClientHeader,
  COMMON_PROBLEMS,
  type FrontApp,
  INTERPRETER_PROBLEMS,
  jsonAnswer,
  jsonBody,
  problems,
  SessionQuery,
  shown,
} from "../route.ts";
import { callSession, maxBodyBytes } from "../session-stub.ts";
import { EVENT_LINES, EVENT_STREAM, EXECUTION } from "./examples.ts";

const MAX_WAIT_SECONDS = 60;
const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;
const tags = ["Executions"];

const MEDIA_TYPES: Record<EventStreamFormat, string> = { sse: "text/event-stream", ndjson: "application/x-ndjson" };

const WaitQuery = z.object({
  wait: z.coerce.number().min(0).max(MAX_WAIT_SECONDS).optional().openapi({
    type: "number",
    description:
      "Seconds to wait until the execution ends or waits for an answer. In time, the answer is 200 and the execution.",
    example: 10,
  }),
});
const ListQuery = SessionQuery.extend({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE).openapi({ type: "integer" }),
  before: z.string().min(1).max(256).optional().meta({ description: "`next` of the page before." }),
});
const Seq = z.coerce.number().int().nonnegative().openapi({ type: "integer" });
const EventsQuery = z.object({
  after: Seq.optional().openapi({ description: "Only events with a greater seq.", example: 0 }),
});
const ExecutionPath = z.object({ id: z.string().meta({ example: "run-1" }) });

const eventStreams = {
  "text/event-stream": { schema: z.string(), example: EVENT_STREAM },
  "application/x-ndjson": { schema: z.string(), example: EVENT_LINES },
};

/** The format of the stream that the caller accepts; null for plain JSON. */
function streamFormatOf(context: FrontContext): EventStreamFormat | null {
  const accept = (context.req.header("accept") ?? "").toLowerCase();
  const asked = accept.split(",").map((entry) => entry.split(";")[0]?.trim());
  if (asked.includes(MEDIA_TYPES.ndjson)) return "ndjson";
  return asked.includes(MEDIA_TYPES.sse) ? "sse" : null;
}

/** The execution that the path names. A name that no execution can have is answered with `not_found`. */
function executionOfPath(context: FrontContext): ExecutionId {
  const parsed = ExecutionId.safeParse(context.req.param("id"));
  if (parsed.success) return parsed.data;
  throw new ProblemError({ code: "not_found", detail: "There is no such execution." });
}

async function answerEvents(
  context: FrontContext,
  executionId: ExecutionId,
  after: number,
  format: EventStreamFormat,
): Promise<Response> {
  const headers = { "content-type": MEDIA_TYPES[format], "x-accel-buffering": "no" };
  if (context.req.method === "HEAD") {
    const execution = await callSession(context, (session, caller) => session.getExecution(caller, executionId));
    if (execution instanceof ReadableStream) await execution.cancel();
    return new Response(null, { headers });
  }
  const events = await callSession(context, (session, caller) =>
    session.streamEvents(caller, executionId, after, format),
  );
  return new Response(events, { headers });
}

/** The id that makes the call repeatable: from the body or the Idempotency-Key header, which must agree. */
function idOfExecute(context: FrontContext, bodyId: MessageId | undefined): MessageId | undefined {
  const header = context.req.header("idempotency-key");
  if (header === undefined) return bodyId;
  const { "idempotency-key": key } = checked(
    z.object({ "idempotency-key": MessageId }),
    { "idempotency-key": header },
    "header",
  );
  if (bodyId === undefined || bodyId === key) return key;
  throw new ProblemError({
    code: "invalid_request",
    detail: "The body's id and the Idempotency-Key header differ.",
    errors: [{ path: "id", message: "must equal the Idempotency-Key header" }],
  });
}

async function execute(context: FrontContext): Promise<Response> {
  const { wait } = readQuery(context.req.raw, WaitQuery);
  const { session: sessionOfQuery } = readQuery(context.req.raw, SessionQuery);
  const body = await readBody(context.req.raw, ExecuteBody, maxBodyBytes(context));
  // The id is fixed here, so that a call that is repeated after a broken one does not run the code twice.
  const id = newExecutionId(idOfExecute(context, body.id));
  const session = body.session ?? sessionOfQuery;
  const submitted = { ...body, id, ...(session === undefined ? {} : { session }) };
  const accepted = await callSession(context, (object, caller) => object.execute(caller, submitted));
  const format = streamFormatOf(context);
  if (format !== null) return answerEvents(context, accepted.execution_id, 0, format);
  context.header("location", `/api/v1/executions/${encodeURIComponent(accepted.execution_id)}`);
  if (wait !== undefined && wait > 0) {
    const execution = await callSession(context, (object, caller) =>
      object.waitForExecution(caller, accepted.execution_id, wait),
    );
    if (execution !== null) return answerExecution(context, execution);
  }
  return context.json(accepted, 202);
}

async function events(context: FrontContext): Promise<Response> {
  const { after = 0 } = readQuery(context.req.raw, EventsQuery);
  const header = context.req.header("last-event-id");
  const seen =
    header === undefined || header === ""
      ? 0
      : checked(z.object({ "last-event-id": Seq }), { "last-event-id": header }, "header")["last-event-id"];
  // A browser repeats its first URL on reconnect, so the header is the newer of the two.
  return answerEvents(context, executionOfPath(context), Math.max(after, seen), streamFormatOf(context) ?? "sse");
}

/** Adds the calls to the app. */
export function addExecutionRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/execute",
      operationId: "execute",
      summary: "Run code in a session",
      description:
        "Answers at once with the execution's id. With `wait`, answers with the execution once it has ended or waits for an answer; with `Accept: text/event-stream` or `application/x-ndjson`, with its events as they come. An id that was used before with the same code is not run again.",
      tags,
      request: {
        headers: ClientHeader.extend({
          "idempotency-key": MessageId.optional().meta({ description: "The execution's id.", example: "run-1" }),
        }),
        query: WaitQuery,
        body: jsonBody(ExecuteBody, { code: "print('Hello')\n6 * 7", timeout: 30 }),
      },
      responses: {
        202: jsonAnswer("It runs, or waits its turn", ExecuteAccepted, {
          execution_id: "run-1",
          status: "running",
          session: "default",
        }),
        200: {
          description: "It ended in time, or its events follow",
          content: { "application/json": { schema: shown(Execution), example: EXECUTION }, ...eventStreams },
        },
        ...problems(
          ...COMMON_PROBLEMS,
          ...INTERPRETER_PROBLEMS,
          "idempotency_conflict",
          "payload_too_large",
          "queue_full",
        ),
      },
    },
    execute,
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/executions",
      operationId: "listExecutions",
      summary: "List executions, newest first",
      tags,
      request: { headers: ClientHeader, query: ListQuery },
      responses: {
        200: jsonAnswer("One page", ExecutionList, { executions: [EXECUTION], next: null }),
        ...problems(...COMMON_PROBLEMS),
      },
    },
    async (context) => {
      const { session, limit, before } = readQuery(context.req.raw, ListQuery);
      const query = {
        limit,
        ...(session === undefined ? {} : { session }),
        ...(before === undefined ? {} : { before }),
      };
      return context.json(await callSession(context, (object, caller) => object.listExecutions(caller, query)));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/executions/{id}",
      operationId: "getExecution",
      summary: "Read an execution",
      tags,
      request: { headers: ClientHeader, params: ExecutionPath },
      responses: {
        200: jsonAnswer("The execution as it is now", Execution, EXECUTION),
        ...problems(...COMMON_PROBLEMS, "not_found"),
      },
    },
    async (context) => {
      const id = executionOfPath(context);
      return answerExecution(context, await callSession(context, (object, caller) => object.getExecution(caller, id)));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/executions/{id}/events",
      operationId: "followExecution",
      summary: "Follow an execution's events",
      description:
        "Every event after `after` (or `Last-Event-ID`), then live until the execution ends. Server-sent events; NDJSON with `Accept: application/x-ndjson`.",
      tags,
      request: {
        headers: ClientHeader.extend({ "last-event-id": Seq.optional() }),
        params: ExecutionPath,
        query: EventsQuery,
      },
      responses: {
        200: { description: "The events", content: eventStreams },
        ...problems(...COMMON_PROBLEMS, "not_found"),
      },
    },
    events,
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/executions/{id}/cancel",
      operationId: "cancelExecution",
      summary: "Cancel an execution",
      description: "A queued execution ends without running; a running one is interrupted.",
      tags,
      request: { headers: ClientHeader, params: ExecutionPath },
      responses: {
        202: jsonAnswer("The execution as it is now", Execution, { ...EXECUTION, status: "running", result: null }),
        ...problems(...COMMON_PROBLEMS, "not_found", "runner_error"),
      },
    },
    async (context) => {
      const id = executionOfPath(context);
      return answerExecution(context, await callSession(context, (object, caller) => object.cancel(caller, id)), 202);
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/executions/{id}/input",
      operationId: "answerInput",
      summary: "Answer a waiting input()",
      tags,
      request: {
        headers: ClientHeader,
        params: ExecutionPath,
        body: jsonBody(InputBody, { input_id: "input-1", value: "Ada" }),
      },
      responses: {
        204: { description: "Taken" },
        ...problems(...COMMON_PROBLEMS, "not_found", "payload_too_large", "runner_error"),
      },
    },
    async (context) => {
      const id = executionOfPath(context);
      const { input_id, value } = await readBody(context.req.raw, InputBody, maxBodyBytes(context));
      await callSession(context, (object, caller) => object.answerInput(caller, id, input_id, value));
      return context.body(null, 204);
    },
  );
}
