/** Owns the REST calls about checkpoints: take, list, read, delete, restore. */
import { z } from "@hono/zod-openapi";
import { ProblemError } from "../../problem.ts";
import { CheckpointId, DEFAULT_SESSION } from "../../protocol/identity.ts";
import { CheckpointBody, CheckpointList, RestoreBody } from "../../protocol/rest.ts";
import { Checkpoint, RestoreOutcome } from "../../protocol/server-message.ts";
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
import { CHECKPOINT } from "./examples.ts";

const tags = ["Checkpoints"];
const checkpointInPath = z.string().meta({ example: CHECKPOINT.checkpoint_id });
const CheckpointPath = z.object({ id: checkpointInPath });
const RestorePath = z.object({ checkpoint_id: checkpointInPath });

/** The checkpoint that the path names. A name that no checkpoint can have is answered with `not_found`. */
function checkpointOfPath(context: FrontContext, parameter: "id" | "checkpoint_id" = "id"): CheckpointId {
  const parsed = CheckpointId.safeParse(context.req.param(parameter));
  if (parsed.success) return parsed.data;
  throw new ProblemError({ code: "not_found", detail: "There is no such checkpoint." });
}

/** Adds the calls to the app. */
export function addCheckpointRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/checkpoint",
      operationId: "createCheckpoint",
      summary: "Save the session's state",
      description: "What could not be saved is named in `skipped`.",
      tags,
      request: {
        headers: ClientHeader,
        query: SessionQuery,
        body: jsonBody(CheckpointBody, { name: "before the experiment" }, false),
      },
      responses: {
        201: jsonAnswer("The checkpoint", Checkpoint, CHECKPOINT),
        ...problems(...COMMON_PROBLEMS, ...INTERPRETER_PROBLEMS, "payload_too_large", "storage_full"),
      },
    },
    async (context) => {
      const query = readQuery(context.req.raw, SessionQuery);
      const body = await readBody(context.req.raw, CheckpointBody, maxBodyBytes(context));
      const session = body.session ?? query.session ?? DEFAULT_SESSION;
      const checkpoint = await callSession(context, (object, caller) =>
        object.createCheckpoint(caller, session, body.name),
      );
      return context.json(checkpoint, 201);
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/checkpoints",
      operationId: "listCheckpoints",
      summary: "List checkpoints",
      tags,
      request: { headers: ClientHeader, query: SessionQuery },
      responses: {
        200: jsonAnswer("Those of one session, or of all", CheckpointList, { checkpoints: [CHECKPOINT] }),
        ...problems(...COMMON_PROBLEMS),
      },
    },
    async (context) => {
      const { session } = readQuery(context.req.raw, SessionQuery);
      return context.json(await callSession(context, (object, caller) => object.listCheckpoints(caller, session)));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/checkpoints/{id}",
      operationId: "getCheckpoint",
      summary: "Read a checkpoint",
      tags,
      request: { headers: ClientHeader, params: CheckpointPath },
      responses: {
        200: jsonAnswer("The checkpoint", Checkpoint, CHECKPOINT),
        ...problems(...COMMON_PROBLEMS, "not_found"),
      },
    },
    async (context) => {
      const id = checkpointOfPath(context);
      return context.json(await callSession(context, (object, caller) => object.getCheckpoint(caller, id)));
    },
  );
  addRoute(
    app,
    {
      method: "delete",
      path: "/api/v1/checkpoints/{id}",
      operationId: "deleteCheckpoint",
      summary: "Delete a checkpoint",
      tags,
      request: { headers: ClientHeader, params: CheckpointPath },
      responses: { 204: { description: "Gone" }, ...problems(...COMMON_PROBLEMS, "not_found") },
    },
    async (context) => {
      const id = checkpointOfPath(context);
      await callSession(context, (object, caller) => object.deleteCheckpoint(caller, id));
      return context.body(null, 204);
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/restore/{checkpoint_id}",
      operationId: "restore",
      summary: "Go back to a checkpoint",
      description: "With `clear_existing: false`, names that the checkpoint lacks stay.",
      tags,
      request: {
        headers: ClientHeader,
        params: RestorePath,
        query: SessionQuery,
        body: jsonBody(RestoreBody, { clear_existing: true }, false),
      },
      responses: {
        200: jsonAnswer("Done; what could not be brought back is in `missing`", RestoreOutcome, {
          status: "restored",
          checkpoint_id: CHECKPOINT.checkpoint_id,
          source: "snapshot",
          missing: [],
        }),
        ...problems(
          ...COMMON_PROBLEMS,
          ...INTERPRETER_PROBLEMS,
          "not_found",
          "checkpoint_unavailable",
          "payload_too_large",
        ),
      },
    },
    async (context) => {
      const id = checkpointOfPath(context, "checkpoint_id");
      const query = readQuery(context.req.raw, SessionQuery);
      const body = await readBody(context.req.raw, RestoreBody, maxBodyBytes(context));
      const session = body.session ?? query.session ?? DEFAULT_SESSION;
      const outcome = await callSession(context, (object, caller) =>
        object.restore(caller, session, id, body.clear_existing),
      );
      return context.json(outcome);
    },
  );
}
