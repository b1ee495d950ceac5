/** Owns `PUT` of a session: creating it with an environment, variables and idle time, and the later changes that are allowed. */
import { ProblemError } from "../../problem.ts";
import type { SessionBody } from "../../protocol/session-resource.ts";
import type { NamedSession } from "./named-session.ts";

/** Whether the client has made or used the session. */
export function exists({ context: { record } }: NamedSession): boolean {
  return record.isMade || record.phase !== "new";
}

/**
 * Makes a session, or changes one.
 *
 * @returns whether it was made now.
 * @throws ProblemError `environment_conflict`, `invalid_request`.
 */
export async function putSession(session: NamedSession, body: SessionBody): Promise<boolean> {
  const { context, env, incarnations, idle } = session;
  const { record } = context;
  const isNew = !exists(session);
  if (body.environment !== undefined && body.environment !== record.environment) {
    if (record.phase !== "new" && record.phase !== "ended") {
      const detail = `The session has state in the environment ${record.environment}; end it first.`;
      throw new ProblemError({ code: "environment_conflict", detail });
    }
  }
  if (isNew) await context.stores.tenant.admit("sessions", record.name);
  if (body.env !== undefined) await env.change(body.env);
  if (body.environment !== undefined) record.environment = body.environment;
  if (body.region !== undefined) record.region = body.region;
  if (body.idle_seconds !== undefined) record.idleSeconds = body.idle_seconds;
  record.isMade = true;
  context.touch();
  context.save();
  env.tell(incarnations.ready);
  idle.schedule();
  return isNew;
}
