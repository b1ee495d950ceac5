/** Owns the REST calls about sessions: read, interrupt, reset, end, complete code. */
import { z } from "@hono/zod-openapi";
import { DEFAULT_SESSION, type SessionName } from "../../protocol/identity.ts";
import { CompleteBody, IsCompleteBody, SessionAction } from "../../protocol/rest.ts";
import { Completeness, Completions } from "../../protocol/server-message.ts";
import { SessionList, SessionOverview } from "../../protocol/session-resource.ts";
import type { FrontContext } from "../context.ts";
import { readBody, readQuery } from "../request-body.ts";
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

const DeleteQuery = SessionQuery.extend({
  purge: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Also deletes the journal and the checkpoints.", example: "true" }),
});

/** The session of a call whose body, if it has one, may name it. */
async function sessionOfAction(context: FrontContext): Promise<SessionName> {
  const query = readQuery(context.req.raw, SessionQuery);
  const body = await readBody(context.req.raw, SessionAction, maxBodyBytes(context));
  return body.session ?? query.session ?? DEFAULT_SESSION;
}

function addLookRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/session",
      operationId: "getSession",
      summary: "Look at one session",
      tags,
      request: { headers: ClientHeader, query: SessionQuery },
      responses: { 200: jsonAnswer("The session", SessionOverview, SESSION), ...problems(...COMMON_PROBLEMS) },
    },
    async (context) => {
      const { session = DEFAULT_SESSION } = readQuery(context.req.raw, SessionQuery);
      return context.json(await callSession(context, (object, caller) => object.getSession(caller, session)));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/sessions",
      operationId: "listSessions",
      summary: "List the client's sessions",
      tags,
      request: { headers: ClientHeader },
      responses: {
        200: jsonAnswer("The sessions", SessionList, { sessions: [SESSION] }),
        ...problems(...COMMON_PROBLEMS),
      },
    },
    async (context) => context.json(await callSession(context, (object, caller) => object.listSessions(caller))),
  );
}

function addActionRoutes(app: FrontApp): void {
  const action = {
    headers: ClientHeader,
    query: SessionQuery,
    body: jsonBody(SessionAction, { session: "default" }, false),
  };
  const responses = {
    202: jsonAnswer("The session as it is now", SessionOverview, SESSION),
    ...problems(...COMMON_PROBLEMS, ...INTERPRETER_PROBLEMS, "payload_too_large"),
  };
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/session/interrupt",
      operationId: "interruptSession",
      summary: "Interrupt what runs now, as Ctrl-C does",
      tags,
      request: action,
      responses,
    },
    async (context) => {
      const session = await sessionOfAction(context);
      return context.json(
        await callSession(context, (object, caller) => object.interruptSession(caller, session)),
        202,
      );
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/session/reset",
      operationId: "resetSession",
      summary: "Start over with a fresh interpreter; checkpoints are kept",
      tags,
      request: action,
      responses,
    },
    async (context) => {
      const session = await sessionOfAction(context);
      return context.json(await callSession(context, (object, caller) => object.resetSession(caller, session)), 202);
    },
  );
  addRoute(
    app,
    {
      method: "delete",
      path: "/api/v1/session",
      operationId: "deleteSession",
      summary: "End a session",
      tags,
      request: { headers: ClientHeader, query: DeleteQuery },
      responses: { 204: { description: "Its interpreter has ended" }, ...problems(...COMMON_PROBLEMS) },
    },
    async (context) => {
      const { session = DEFAULT_SESSION, purge } = readQuery(context.req.raw, DeleteQuery);
      await callSession(context, (object, caller) => object.deleteSession(caller, session, purge === "true"));
      return context.body(null, 204);
    },
  );
}

function addEditorRoutes(app: FrontApp): void {
  const mishaps = problems(...COMMON_PROBLEMS, ...INTERPRETER_PROBLEMS, "payload_too_large");
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/complete",
      operationId: "complete",
      summary: "Complete a name at the cursor",
      tags,
      request: {
        headers: ClientHeader,
        query: SessionQuery,
        body: jsonBody(CompleteBody, { code: "import os\nos.ge", cursor: 15 }),
      },
      responses: {
        200: jsonAnswer("What may stand between the two cursors", Completions, {
          matches: ["getcwd", "getenv"],
          cursor_start: 13,
          cursor_end: 15,
        }),
        ...mishaps,
      },
    },
    async (context) => {
      const query = readQuery(context.req.raw, SessionQuery);
      const body = await readBody(context.req.raw, CompleteBody, maxBodyBytes(context));
      const session = body.session ?? query.session ?? DEFAULT_SESSION;
      return context.json(
        await callSession(context, (object, caller) => object.complete(caller, session, body.code, body.cursor)),
      );
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/is-complete",
      operationId: "isComplete",
      summary: "Judge whether code can run as it stands",
      tags,
      request: { headers: ClientHeader, query: SessionQuery, body: jsonBody(IsCompleteBody, { code: "def f():" }) },
      responses: {
        200: jsonAnswer("The judgement", Completeness, { status: "incomplete", indent: "    " }),
        ...mishaps,
      },
    },
    async (context) => {
      const query = readQuery(context.req.raw, SessionQuery);
      const body = await readBody(context.req.raw, IsCompleteBody, maxBodyBytes(context));
      const session = body.session ?? query.session ?? DEFAULT_SESSION;
      return context.json(
        await callSession(context, (object, caller) => object.isComplete(caller, session, body.code)),
      );
    },
  );
}

/** Adds the calls to the app. */
export function addSessionRoutes(app: FrontApp): void {
  addLookRoutes(app);
  addActionRoutes(app);
  addEditorRoutes(app);
}
