/** Owns the REST call that makes a session from the state of another one. */
import { BranchBody, BranchOutcome } from "../../protocol/branch.ts";
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

/** Adds the call to the app. */
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
}
