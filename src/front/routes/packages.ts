/** Owns the REST call that installs packages: an execution of `%pip install`. The runner says whether it has a package index. */

import { settingsOf } from "../../env.ts";
import { ProblemError } from "../../problem.ts";
import { PackagesBody } from "../../protocol/package.ts";
import { ExecuteAccepted, ExecuteBody } from "../../protocol/rest.ts";
import { newExecutionId } from "../../session-calls.ts";
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
import { runnerCapabilities } from "../runner-info.ts";
import { callSession, maxBodyBytes } from "../session-stub.ts";

/** A word that `%pip` reads as it stands. */
const PLAIN_WORD = /^[A-Za-z0-9_.,=<>!~[\]@:/+%-]+$/;

async function install(context: FrontContext): Promise<Response> {
  const { session: sessionOfQuery } = readQuery(context.req.raw, SessionQuery);
  const body = await readBody(context.req.raw, PackagesBody, maxBodyBytes(context));
  const capabilities = await runnerCapabilities(context.env);
  if (capabilities === null) {
    throw new ProblemError({ code: "no_runner", detail: "No runner can take a session now.", retryAfter: 2 });
  }
  if (!capabilities.packages.enabled) {
    throw new ProblemError({ code: "packages_disabled", detail: "Installing packages is disabled on this service." });
  }
  const session = body.session ?? sessionOfQuery;
  const execution = ExecuteBody.parse({
    code: `%pip install ${body.requirements.map(quote).join(" ")}`,
    timeout: settingsOf(context.env).MAX_TIMEOUT_SECONDS,
    ...(session === undefined ? {} : { session }),
  });
  const accepted = await callSession(context, (object, caller) =>
    object.execute(caller, { ...execution, id: newExecutionId() }),
  );
  context.header("location", `/api/v1/executions/${encodeURIComponent(accepted.execution_id)}`);
  return context.json(accepted, 202);
}

function quote(requirement: string): string {
  return PLAIN_WORD.test(requirement) ? requirement : `'${requirement.replaceAll("'", `'"'"'`)}'`;
}

/** Adds the call to the app. */
export function addPackageRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/packages",
      operationId: "installPackages",
      summary: "Install packages into a session",
      description:
        "Runs `%pip install` with these requirements as an execution like any other: its output streams, and it ends in `result`, or in `error` with `exception_type` `PackageError`.",
      tags: ["Sessions"],
      request: {
        headers: ClientHeader,
        query: SessionQuery,
        body: jsonBody(PackagesBody, { requirements: ["six==1.17.0"] }),
      },
      responses: {
        202: jsonAnswer("It runs, or waits its turn", ExecuteAccepted, {
          execution_id: "run-1",
          status: "running",
          session: "default",
        }),
        ...problems(
          ...COMMON_PROBLEMS,
          ...INTERPRETER_PROBLEMS,
          "packages_disabled",
          "payload_too_large",
          "queue_full",
        ),
      },
    },
    install,
  );
}
