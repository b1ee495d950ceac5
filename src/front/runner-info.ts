/** Owns the front's calls to a runner outside any session: its free places and its capabilities. */
import type { Bindings } from "../env.ts";
import { settingsOf } from "../env.ts";
import { candidateRunner, fleetStatus, reportUnreachable } from "../fleet/fleet-calls.ts";
import { offers } from "../fleet/placement.ts";
import { ProblemError } from "../problem.ts";
import { RunnerCapabilities } from "../protocol/capabilities.ts";
import { PROBLEMS } from "../protocol/problem.ts";
import { fetchRunner } from "../runner-fetch.ts";

const ASK_TIMEOUT_MS = 3000;
/** A runner that is alive answers `/ready` within milliseconds. */
const READY_TIMEOUT_MS = 1000;
/** Runners that `/ready` asks at most, so that its answer comes within two seconds. */
const MAX_ASKED = 2;

/** The answer of a runner, or null if it does not answer. */
export async function askRunner(
  url: string,
  path: string,
  token: string,
  timeoutMs = ASK_TIMEOUT_MS,
): Promise<Response | null> {
  try {
    return await fetchRunner(new URL(path, url), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch {
    // Every failure means the same to the caller: no runner.
    return null;
  }
}

/** The JSON of an answer, or null if it has none or does not arrive whole in time: the deadline of `askRunner` holds for the body too. */
export async function readAnswer(answer: Response): Promise<unknown> {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

async function readCapabilities(answer: Response): Promise<RunnerCapabilities> {
  const parsed = answer.ok ? RunnerCapabilities.safeParse(await readAnswer(answer)) : null;
  if (parsed?.success) return parsed.data;
  throw new ProblemError({ code: "runner_error", detail: "The runner did not describe itself." });
}

/** `disk_full`: the runner has no room on its disk to store anything new. `broken`: the only runners there are cannot start Python. */
export type Readiness = "ready" | "full" | "disk_full" | "broken";

async function askWhetherReady(url: string, token: string): Promise<Exclude<Readiness, "broken"> | "unreachable"> {
  const answer = await askRunner(url, "/ready", token, READY_TIMEOUT_MS);
  await answer?.body?.cancel();
  if (answer === null) return "unreachable";
  if (answer.status === PROBLEMS.storage_full.status) return "disk_full";
  return answer.ok ? "ready" : "full";
}

/** Whether runners report, and none of those that are reached and stay can start the Python of its default environment. */
async function isFleetBroken(env: Bindings): Promise<boolean> {
  const staying = (await fleetStatus(env)).filter((runner) => !runner.isSuspect && !runner.draining);
  return staying.length > 0 && staying.every((runner) => !offers(runner, {}));
}

/**
 * Whether a new session would find a runner with room for it. A runner that died is noticed here before its heartbeats
 * are missed, because it is asked.
 */
export async function readiness(env: Bindings): Promise<Readiness> {
  const { RUNNER_URL, RUNNER_TOKEN } = settingsOf(env);
  if (RUNNER_URL !== undefined) {
    const answer = await askWhetherReady(RUNNER_URL, RUNNER_TOKEN);
    return answer === "unreachable" ? "full" : answer;
  }
  const asked: string[] = [];
  let otherwise: Readiness = "full";
  while (asked.length < MAX_ASKED) {
    const runner = await candidateRunner(env, asked);
    if (runner === null) return asked.length === 0 && (await isFleetBroken(env)) ? "broken" : otherwise;
    const answer = await askWhetherReady(runner.url, RUNNER_TOKEN);
    if (answer === "ready") return answer;
    if (answer === "disk_full") otherwise = answer;
    if (answer === "unreachable") await reportUnreachable(env, runner.id);
    asked.push(runner.id);
  }
  return otherwise;
}

/**
 * What a runner says about itself; null if there is no runner.
 *
 * @throws ProblemError `runner_error`.
 */
export async function runnerCapabilities(env: Bindings): Promise<RunnerCapabilities | null> {
  const { RUNNER_URL, RUNNER_TOKEN } = settingsOf(env);
  if (RUNNER_URL !== undefined) {
    const answer = await askRunner(RUNNER_URL, "/v1/capabilities", RUNNER_TOKEN);
    return answer === null ? null : readCapabilities(answer);
  }
  const runners = (await fleetStatus(env)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const chosen = runners.find((runner) => !runner.draining) ?? runners[0];
  return chosen?.capabilities ?? null;
}
