/** Owns waiting for a promise with a deadline. */

/** Thrown if a wait took longer than its deadline. */
export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}

/**
 * The promise's outcome, or a rejection: with `DeadlinePassed` after `deadlineMs`, or with the signal's reason when it fires.
 *
 * @param what names the wait in the message.
 */
export function withDeadline<T>(
  promise: Promise<T>,
  what: string,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const expire = () => {
      leave();
      reject(new DeadlinePassed(`${what} took longer than ${deadlineMs} ms`));
    };
    // If this process was stalled, the awaited data may have arrived but not been read. It is read before `setImmediate` runs.
    const timer = setTimeout(() => setImmediate(expire), deadlineMs);
    const abort = () => {
      leave();
      reject(signal?.reason);
    };
    const leave = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
    // Also if the wait is over already: an unhandled rejection would end this process.
    promise.then(
      (value) => {
        leave();
        resolve(value);
      },
      (error) => {
        leave();
        reject(error);
      },
    );
  });
}
