/** Owns the REST calls `branch`, which copies a session's state into a new session, and `undo`, which restores the state before an execution. */
import { BranchBody, BranchOutcome, UndoBody, UndoOutcome } from "../../protocol/branch.ts";
import { readBody } from "../request-body.ts";
import {
  addRoute,
  ClientHeader,
  COMMON_PROBLEMS,
  type FrontApp,
  INTERPRETER_PROBLEMS,
  jsonAnswer,
  jsonBody,
  problems,
} from "../route.ts";
import { callSession, maxBodyBytes } from "../session-stub.ts";
import { CHECKPOINT, SESSION } from "./examples.ts";

/** Adds the calls to the app. */
export function addBranchRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/session/branch",
      operationId: "branchSession",
      summary: "Make a session with the state of another one",
      description:
        "Variables and files are as they are now, or as in the checkpoint. Both sessions go on by themselves.",
      tags: ["Sessions"],
      request: { headers: ClientHeader, body: jsonBody(BranchBody, { session: "default", name: "experiment" }) },
      responses: {
        201: jsonAnswer("The new session; what could not be brought over is in `missing`", BranchOutcome, {
          session: { ...SESSION, session: "experiment" },
          from: "default",
          checkpoint_id: CHECKPOINT.checkpoint_id,
          missing: [],
        }),
        ...problems(
          ...COMMON_PROBLEMS,
          ...INTERPRETER_PROBLEMS,
          "not_found",
          "storage_full",
          "session_exists",
          "checkpoint_unavailable",
          "payload_too_large",
        ),
      },
    },
    async (context) => {
      const body = await readBody(context.req.raw, BranchBody, maxBodyBytes(context));
      return context.json(await callSession(context, (object, caller) => object.branch(caller, body)), 201);
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/session/undo",
      operationId: "undoExecution",
      summary: "Bring back the state right before an execution",
      description:
        "Before the last one if none is named. The session's overview lists the executions that can be undone.",
      tags: ["Sessions"],
      request: { headers: ClientHeader, body: jsonBody(UndoBody, { execution_id: "run-1" }, false) },
      responses: {
        200: jsonAnswer("Done", UndoOutcome, { status: "restored", execution_id: "run-1", source: "snapshot" }),
        ...problems(...COMMON_PROBLEMS, ...INTERPRETER_PROBLEMS, "undo_unavailable", "payload_too_large"),
      },
    },
    async (context) => {
      const body = await readBody(context.req.raw, UndoBody, maxBodyBytes(context));
      return context.json(await callSession(context, (object, caller) => object.undo(caller, body)));
    },
  );
}
