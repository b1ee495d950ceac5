/** Says what went wrong with a call in one line, and what the user can do about it. */
import type { ClientError } from "../client/client-error.ts";

function adviceOn({ code, retryAfter }: ClientError): string {
  switch (code) {
    case "unreachable":
      return " Is the service running, and is --url right? `pyrepl3 serve` starts one on this machine.";
    case "unauthorized":
      return " Give a token with --token or PYREPL3_TOKEN; `pyrepl3 token` makes one from the service's JWT_SECRET.";
    case "session_limit":
      return " `pyrepl3 sessions` lists them, and `pyrepl3 sessions end --session NAME` ends one.";
    default:
      return retryAfter === null ? "" : ` Try again in ${retryAfter} s.`;
  }
}

/** The service's own words, its code for scripts, and advice. */
export function describeError(error: ClientError): string {
  return `${error.message} [${error.code}]${adviceOn(error)}`;
}
