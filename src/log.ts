/** Owns the format of the edge's log lines: one line of JSON that no caller can break, with the request's id. */

export interface LogFacts {
  /** Absent: no request caused it, such as an alarm. */
  requestId?: string | undefined;
  method?: string;
  /** Its stack is logged; callers get the request's id instead. */
  error?: unknown;
}

/** Writes one line. Its text holds no user code, no output and no token. */
export function logLine(level: "error" | "warn", message: string, { requestId, method, error }: LogFacts = {}): void {
  const isError = error instanceof Error;
  const text = isError ? (level === "error" ? (error.stack ?? error.message) : error.message) : error;
  const line = JSON.stringify({
    level,
    message,
    ...(requestId === undefined ? {} : { request_id: requestId }),
    ...(method === undefined ? {} : { method }),
    ...(error === undefined ? {} : { error: String(text) }),
  });
  if (level === "error") console.error(line);
  else console.warn(line);
}
