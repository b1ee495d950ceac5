/** Describes in one line the protection of a sandbox without namespaces on this machine, and its gaps. */
import { runsAsRoot } from "../session-uid.ts";
import { findLandlock } from "./landlock-support.ts";

/** For the log and `GET /capabilities`. */
export async function describeLandlock(python: string): Promise<string> {
  const { abi, canMount, hasScopes } = await findLandlock(python);
  const users = runsAsRoot() ? "a user of its own for each session" : "all sessions run as the runner's user";
  const files = canMount ? "files on a tmpfs" : "files measured, not on a tmpfs";
  const signals = hasScopes || runsAsRoot() ? "" : "; this kernel does not keep sessions from signalling one another";
  return `Landlock ${abi} and seccomp, ${users}, ${files}; no process or network namespaces${signals}`;
}
