/** Owns the edge's ways of waiting. Each has a deadline. */

/** Resolves after `ms`. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits for `promise`, but at most for `ms`. The timer is cleared, because a running timer keeps a Durable Object awake. */
export async function waitAtMost(promise: Promise<unknown>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Calls `use` with a signal that aborts after `ms`. The timer is cleared as soon as `use` has settled. */
export async function withAbortAfter<T>(ms: number, use: (late: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await use(late.signal);
  } finally {
    clearTimeout(timer);
  }
}
