/** Owns the REST calls about tools: a session's tools, and the answers to the calls that its code makes. */
import { z } from "@hono/zod-openapi";
import { settingsOf } from "../../env.ts";
import { ProblemError } from "../../problem.ts";
import { DEFAULT_SESSION, ExecutionId } from "../../protocol/identity.ts";
import { Execution } from "../../protocol/rest.ts";
import { ToolBindings } from "../../protocol/tool.ts";
import { ToolResultsBody, ToolsBody } from "../../protocol/tool-body.ts";
import { answerExecution } from "../answer-execution.ts";
import type { FrontContext } from "../context.ts";
import { readBody, readQuery } from "../request-body.ts";
import {
  addRoute,
  ClientHeader,
  COMMON_PROBLEMS,
  type FrontApp,
  jsonAnswer,
  jsonBody,
  problems,
  SessionQuery,
} from "../route.ts";
import { callSession, maxBodyBytes } from "../session-stub.ts";
import { EXECUTION } from "./examples.ts";

const tags = ["Tools"];
const MAX_WAIT_SECONDS = 60;
/** Beside the value of the largest answer. */
const EXTRA_BYTES = 64 * 1024;

const SEARCH = {
  name: "search",
  description: "Finds pages.",
  input_schema: { type: "object" as const, properties: { query: { type: "string" } }, required: ["query"] },
};
const BINDINGS = { tools: [{ name: "search", python_name: "search" }] };

function executionOfPath(context: FrontContext): ExecutionId {
  const parsed = ExecutionId.safeParse(context.req.param("id"));
  if (parsed.success) return parsed.data;
  throw new ProblemError({ code: "not_found", detail: "There is no such execution." });
}

async function answerCalls(context: FrontContext): Promise<Response> {
  const id = executionOfPath(context);
  const maxBytes = Math.max(maxBodyBytes(context), settingsOf(context.env).MAX_TOOL_VALUE_BYTES + EXTRA_BYTES);
  const { results, wait = 0 } = await readBody(context.req.raw, ToolResultsBody, maxBytes);
  const seconds = Math.min(wait, MAX_WAIT_SECONDS);
  const execution = await callSession(context, (object, caller) => object.answerTools(caller, id, results, seconds));
  return answerExecution(context, execution);
}

async function setTools(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, SessionQuery);
  const body = await readBody(context.req.raw, ToolsBody, maxBodyBytes(context));
  const session = body.session ?? query.session ?? DEFAULT_SESSION;
  return context.json(await callSession(context, (object, caller) => object.setTools(caller, session, body.tools)));
}

/** Adds the calls to the app. */
export function addToolRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/executions/{id}/tool-results",
      operationId: "answerToolCalls",
      summary: "Answer tool calls that wait",
      description: "With `wait`, answers at the execution's next stop: its end, or code that waits for an answer.",
      tags,
      request: {
        headers: ClientHeader,
        params: z.object({ id: z.string().meta({ example: "run-1" }) }),
        body: jsonBody(ToolResultsBody, { results: [{ call_id: "call-1", value: ["a page"] }], wait: 10 }),
      },
      responses: {
        200: jsonAnswer("The execution as it is then", Execution, EXECUTION),
        ...problems(...COMMON_PROBLEMS, "not_found", "payload_too_large", "runner_error"),
      },
    },
    answerCalls,
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/session/tools",
      operationId: "getTools",
      summary: "List a session's tools",
      tags,
      request: { headers: ClientHeader, query: SessionQuery },
      responses: { 200: jsonAnswer("The tools", ToolBindings, BINDINGS), ...problems(...COMMON_PROBLEMS) },
    },
    async (context) => {
      const { session = DEFAULT_SESSION } = readQuery(context.req.raw, SessionQuery);
      return context.json(await callSession(context, (object, caller) => object.getTools(caller, session)));
    },
  );
  addRoute(
    app,
    {
      method: "put",
      path: "/api/v1/session/tools",
      operationId: "setTools",
      summary: "Replace a session's tools",
      tags,
      request: { headers: ClientHeader, query: SessionQuery, body: jsonBody(ToolsBody, { tools: [SEARCH] }) },
      responses: {
        200: jsonAnswer("The tools, with the names by which Python calls them", ToolBindings, BINDINGS),
        ...problems(...COMMON_PROBLEMS, "payload_too_large"),
      },
    },
    setTools,
  );
}
