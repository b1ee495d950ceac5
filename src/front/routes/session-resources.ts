/** Owns the REST calls that create, read and end sessions, and list their variables and the available environments. */
import { z } from "@hono/zod-openapi";
import { ProblemError } from "../../problem.ts";
import { DEFAULT_SESSION, SessionName } from "../../protocol/identity.ts";
import { EnvironmentList, SessionBody, SessionOverview, VariableList } from "../../protocol/session-resource.ts";
import type { FrontContext } from "../context.ts";
import { checkEnvironment, environmentList } from "../environments.ts";
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
} from "../route.ts";
import { callSession, maxBodyBytes } from "../session-stub.ts";
import { SESSION } from "./examples.ts";

const tags = ["Sessions"];
const path = "/api/v1/sessions/{session}";
const SessionPath = z.object({ session: z.string().meta({ example: "default" }) });
const PurgeQuery = z.object({
  purge: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Also deletes the journal and the checkpoints.", example: "true" }),
});

const sessionOfPath = (context: FrontContext): SessionName =>
  checked(z.object({ session: SessionName }), { session: context.req.param("session") }, "path").session;

async function putSession(context: FrontContext): Promise<Response> {
  const session = sessionOfPath(context);
  const body = await readBody(context.req.raw, SessionBody, maxBodyBytes(context));
  await checkEnvironment(context.env, body.environment);
  const { isNew, overview } = await callSession(context, (object, caller) => object.putSession(caller, session, body));
  return context.json(overview, isNew ? 201 : 200);
}

function addResourceRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "put",
      path,
      operationId: "putSession",
      summary: "Make a session, or change one",
      description: "Environment variables are set one by one; null removes one. Their values are in no answer.",
      tags,
      request: {
        headers: ClientHeader,
        params: SessionPath,
        body: jsonBody(SessionBody, { environment: "default", env: { API_URL: "https://example.org" } }, false),
      },
      responses: {
        201: jsonAnswer("The session was made", SessionOverview, SESSION),
        200: jsonAnswer("The session was changed", SessionOverview, SESSION),
        ...problems(...COMMON_PROBLEMS, "environment_conflict", "session_limit", "payload_too_large"),
      },
    },
    putSession,
  );
  addRoute(
    app,
    {
      method: "get",
      path,
      operationId: "getNamedSession",
      summary: "Look at a session that was made or used",
      tags,
      request: { headers: ClientHeader, params: SessionPath },
      responses: {
        200: jsonAnswer("The session", SessionOverview, SESSION),
        ...problems(...COMMON_PROBLEMS, "not_found"),
      },
    },
    async (context) => {
      const session = sessionOfPath(context);
      return context.json(await callSession(context, (object, caller) => object.findSession(caller, session)));
    },
  );
  addRoute(
    app,
    {
      method: "delete",
      path,
      operationId: "deleteNamedSession",
      summary: "End a session",
      tags,
      request: { headers: ClientHeader, params: SessionPath, query: PurgeQuery },
      responses: { 204: { description: "Its interpreter has ended" }, ...problems(...COMMON_PROBLEMS) },
    },
    async (context) => {
      const session = sessionOfPath(context);
      const { purge } = readQuery(context.req.raw, PurgeQuery);
      await callSession(context, (object, caller) => object.deleteSession(caller, session, purge === "true"));
      return context.body(null, 204);
    },
  );
}

/** Adds the calls to the app. */
export function addSessionResourceRoutes(app: FrontApp): void {
  addResourceRoutes(app);
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/session/variables",
      operationId: "listVariables",
      summary: "List what code has bound, the newest first",
      tags,
      request: { headers: ClientHeader, query: SessionQuery },
      responses: {
        200: jsonAnswer("The variables", VariableList, {
          variables: [{ name: "x", type: "int", repr: "42", size: 28, is_callable: false }],
          truncated: false,
        }),
        ...problems(...COMMON_PROBLEMS, ...INTERPRETER_PROBLEMS),
      },
    },
    async (context) => {
      const { session = DEFAULT_SESSION } = readQuery(context.req.raw, SessionQuery);
      return context.json(await callSession(context, (object, caller) => object.listVariables(caller, session)));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/environments",
      operationId: "listEnvironments",
      summary: "List the Python environments that a session can have",
      tags,
      request: { headers: ClientHeader },
      responses: {
        200: jsonAnswer("The environments of all runners", EnvironmentList, {
          environments: [
            {
              name: "default",
              python: "3.13.5",
              preload: ["numpy"],
              packages: [{ name: "numpy", version: "2.1.0" }],
              default: true,
            },
          ],
        }),
        ...problems(...COMMON_PROBLEMS, "runner_error", "no_runner"),
      },
    },
    async (context) => {
      const environments = await environmentList(context.env);
      if (environments.length === 0) {
        throw new ProblemError({ code: "no_runner", detail: "No runner is available.", retryAfter: 5 });
      }
      return context.json({ environments });
    },
  );
}
