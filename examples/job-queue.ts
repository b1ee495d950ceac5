/**
 * A job queue: it runs many pieces of code, a few at a time, each in a session of its worker. A program that was stopped is started
 * again with the same jobs: those that have run are not run twice, because the service knows their ids.
 */
import { type Client, ClientError, type Outcome } from "../src/client/index.ts";

const MAX_ATTEMPTS = 3;
const LONGEST_PAUSE_MS = 30_000;

export interface Job {
  /** Names the job, for the service too: letters, digits, dots and dashes. */
  id: string;
  code: string;
}

export interface QueueOptions {
  /** How many jobs run at the same time (default 3); the service's MAX_SESSIONS_PER_CLIENT bounds it. */
  workers?: number;
  /** Seconds that a job may take (default 60). */
  timeout?: number;
  onEnd?(job: Job, outcome: Outcome): void;
}

/** Runs the jobs. @returns their outcomes, in the order of the jobs; a job that fails is an outcome like any other. */
export async function runJobs(python: Client, jobs: readonly Job[], options: QueueOptions = {}): Promise<Outcome[]> {
  const { workers = 3, timeout = 60, onEnd } = options;
  const outcomes: Outcome[] = [];
  // Every worker takes the same jobs again at a later start, so that an id is always used in the same session.
  const work = async (worker: number) => {
    const session = python.openSession(`worker-${worker + 1}`);
    try {
      for (let index = worker; index < jobs.length; index += workers) {
        const job = jobs[index] as Job;
        const outcome = await runJob(session, job, timeout);
        outcomes[index] = outcome;
        onEnd?.(job, outcome);
      }
    } finally {
      session.close();
    }
  };
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
  return outcomes;
}

/** A job leaves nothing behind in the session. A runner that is lost is no fault of the job, which then runs under another id. */
async function runJob(session: Client, job: Job, timeout: number): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    const id = attempt === 1 ? job.id : `${job.id}.${attempt}`;
    const outcome = await untilAccepted(() => session.run(job.code, { id, timeout, policy: "rollback_always" }));
    if (outcome.error?.reason !== "runner_lost" || attempt === MAX_ATTEMPTS) return outcome;
  }
}

/** The service says how long to wait if it has no room now. */
async function untilAccepted(run: () => PromiseLike<Outcome>): Promise<Outcome> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof ClientError) || error.retryAfter === null) throw error;
      const pauseMs = Math.min(error.retryAfter * 1000, LONGEST_PAUSE_MS);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
