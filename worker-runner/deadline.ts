/** Owns waiting with an end: a promise, or the moment at which one gives up on it. */

/** Thrown where a wait took longer than it may. */
export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}

/**
 * The promise's outcome, or a rejection: with `DeadlinePassed` after `deadlineMs`, with the signal's reason once it fires.
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
    // After a stall of our own what was waited for may have come, and wait to be read behind this timer.
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
    // Also where it is over already: a promise that nobody listens to would end this process by its rejection.
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
