/** Owns what the front asks a runner outside any session: whether it has room, and what it can do. */
import type { Bindings } from "../env.ts";
import { settingsOf } from "../env.ts";
import { fleetStatus } from "../fleet.ts";
import { ProblemError } from "../problem.ts";
import { RunnerCapabilities } from "../protocol/capabilities.ts";

const ASK_TIMEOUT_MS = 3000;

/** The answer of a fixed runner, or null where it does not answer. */
async function askFixedRunner(url: string, path: string, token: string): Promise<Response | null> {
  try {
    return await fetch(new URL(path, url), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
  } catch {
    // Whatever went wrong on the way, to the caller it means the same: no runner.
    return null;
  }
}

async function readCapabilities(answer: Response): Promise<RunnerCapabilities> {
  const parsed = answer.ok ? RunnerCapabilities.safeParse(await answer.json()) : null;
  if (parsed?.success) return parsed.data;
  throw new ProblemError({ code: "runner_error", detail: "The runner does not say what it can do." });
}

/** True where a new session would find a runner with room for it. */
export async function canTakeSession(env: Bindings): Promise<boolean> {
  const { RUNNER_URL, RUNNER_TOKEN } = settingsOf(env);
  if (RUNNER_URL !== undefined) {
    const answer = await askFixedRunner(RUNNER_URL, "/ready", RUNNER_TOKEN);
    await answer?.body?.cancel();
    return answer?.ok ?? false;
  }
  const runners = await fleetStatus(env);
  return runners.some((runner) => !runner.draining && runner.sessions < runner.capacity);
}

/**
 * What a runner says about itself, or null where there is none.
 *
 * @throws ProblemError `runner_error`.
 */
export async function runnerCapabilities(env: Bindings): Promise<RunnerCapabilities | null> {
  const { RUNNER_URL, RUNNER_TOKEN } = settingsOf(env);
  if (RUNNER_URL !== undefined) {
    const answer = await askFixedRunner(RUNNER_URL, "/v1/capabilities", RUNNER_TOKEN);
    return answer === null ? null : readCapabilities(answer);
  }
  const runners = (await fleetStatus(env)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const chosen = runners.find((runner) => !runner.draining) ?? runners[0];
  return chosen?.capabilities ?? null;
}
