/** Owns the shell program between the runner and bubblewrap: it joins the session's groups, fills the stage, and becomes another user. */
import { quote } from "./shell.ts";

/** How readily the kernel ends a sandbox's process when the whole machine is out of memory: before the runner and the edge. */
export const OOM_SCORE = 300;
/** Where no group shares out processor time, the runner at least comes first. */
export const NICENESS = 5;

export interface Launch {
  /** Files that take the process into a control group. */
  groupEntrances: readonly string[];
  hasProcessorShare: boolean;
  stageLines: readonly string[];
  /** Whom bubblewrap runs as, or null for the runner's own user. */
  uid: number | null;
  /** prlimit's arguments for bubblewrap and all that it starts. */
  rlimits: readonly string[];
  bwrap: readonly string[];
}

/** The launcher's command: one process from here to bubblewrap, which each step replaces with the next. */
export function launchCommand(launch: Launch): { command: string; args: string[] } {
  const script = [
    "set -e",
    "umask 022",
    ...launch.groupEntrances.map((file) => `echo $$ >${quote(file)}`),
    `echo ${OOM_SCORE} 2>/dev/null >/proc/self/oom_score_adj || :`,
    ...launch.stageLines,
    `exec ${[...limit(launch), ...becomeUser(launch), "bwrap", ...launch.bwrap].map(quote).join(" ")}`,
  ].join("\n");
  // An ordinary user may mount only in a user namespace, where it is root over nothing but its mounts.
  const user = launch.uid === null ? ["--user", "--map-root-user"] : [];
  return { command: "unshare", args: [...user, "--mount", "--propagation", "private", "/bin/sh", "-c", script] };
}

function limit({ rlimits }: Launch): string[] {
  return rlimits.length === 0 ? [] : ["prlimit", ...rlimits];
}

function becomeUser({ uid, hasProcessorShare }: Launch): string[] {
  return [
    ...(hasProcessorShare ? [] : ["nice", "-n", `${NICENESS}`]),
    ...(uid === null ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--inh-caps=-all"]),
  ];
}
