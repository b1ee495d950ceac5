/** Owns the list of Python environments: those of all runners, each described by a runner that has it. */
import { z } from "zod";
import type { Bindings } from "../env.ts";
import { settingsOf } from "../env.ts";
import { fleetStatus } from "../fleet/fleet-calls.ts";
import { ProblemError } from "../problem.ts";
import { DEFAULT_ENVIRONMENT, type Environment, EnvironmentList } from "../protocol/session-resource.ts";
import { askRunner, readAnswer } from "./runner-info.ts";

const Described = z.object({ environments: EnvironmentList.shape.environments });
/** A runner that is asked for the first time has to look at its packages. */
const DESCRIBE_TIMEOUT_MS = 15_000;

async function describedBy(url: string, token: string): Promise<Environment[]> {
  const answer = await askRunner(url, "/v1/environments", token, DESCRIBE_TIMEOUT_MS);
  if (answer === null) return [];
  const parsed = answer.ok ? Described.safeParse(await readAnswer(answer)) : null;
  if (!parsed?.success)
    throw new ProblemError({ code: "runner_error", detail: "The runner did not describe its environments." });
  return parsed.data.environments;
}

/** Every environment that a session can have, the default one first, then by name. Empty if no runner answers. */
export async function environmentList(env: Bindings): Promise<Environment[]> {
  const { RUNNER_URL, RUNNER_TOKEN } = settingsOf(env);
  if (RUNNER_URL !== undefined) return describedBy(RUNNER_URL, RUNNER_TOKEN);
  // Runners with the same environments are asked once.
  const urls = new Map<string, string>();
  for (const runner of await fleetStatus(env)) {
    if (!runner.isSuspect) urls.set(JSON.stringify(runner.environments ?? []), runner.url);
  }
  const found = new Map<string, Environment>();
  for (const environments of await Promise.all([...urls.values()].map((url) => describedBy(url, RUNNER_TOKEN)))) {
    for (const environment of environments) found.set(environment.name, environment);
  }
  const rank = ({ name, default: isDefault }: Environment) => (isDefault ? "" : name);
  return [...found.values()].toSorted((one, other) => (rank(one) < rank(other) ? -1 : 1));
}

/** @throws ProblemError `invalid_request` if runners report and none of them has the environment. */
export async function checkEnvironment(env: Bindings, name: string | undefined): Promise<void> {
  if (name === undefined || name === DEFAULT_ENVIRONMENT || settingsOf(env).RUNNER_URL !== undefined) return;
  const runners = await fleetStatus(env);
  if (runners.length === 0 || runners.some((runner) => runner.environments?.includes(name))) return;
  const message = "names no environment; GET /api/v1/environments lists them";
  throw new ProblemError({
    code: "invalid_request",
    detail: "There is no such environment.",
    errors: [{ path: "environment", message }],
  });
}
