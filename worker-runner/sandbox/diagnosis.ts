/** Explains why a sandbox does not work on this machine, and names the remedy. */
import { existsSync, readFileSync } from "node:fs";

interface Cause {
  /** Whether the launcher's words, or the machine, point to it. */
  applies: (complaint: string) => boolean;
  says: string;
  /** The launcher's own words would add nothing. */
  isWhole?: boolean;
}

const CAUSES: readonly Cause[] = [
  {
    applies: (complaint) => /bwrap: (command )?not found|execute bwrap: No such file/.test(complaint),
    says: "bubblewrap is not installed: apt-get install bubblewrap",
    isWhole: true,
  },
  {
    applies: (complaint) => /no unshare here|(setpriv|prlimit|mount): (command )?not found/.test(complaint),
    says: "util-linux is not installed: apt-get install util-linux mount",
    isWhole: true,
  },
  {
    applies: () => kernelSays("kernel/unprivileged_userns_clone") === "0",
    says: "this kernel denies user namespaces to ordinary users: sysctl -w kernel.unprivileged_userns_clone=1",
  },
  {
    applies: () => kernelSays("user/max_user_namespaces") === "0",
    says: "no user namespaces are allowed: sysctl -w user.max_user_namespaces=15000",
  },
  {
    applies: () => kernelSays("kernel/apparmor_restrict_unprivileged_userns") === "1",
    says:
      "AppArmor denies user namespaces to ordinary users: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, " +
      "or an AppArmor profile that gives unshare and bwrap the permission `userns`",
  },
  {
    applies: (complaint) => /proc/.test(complaint) && isInContainer(),
    says: "the container hides parts of /proc: start it with --security-opt systempaths=unconfined",
  },
  {
    applies: (complaint) => /not permitted|denied/i.test(complaint) && isInContainer(),
    says:
      "the container forbids namespaces and mounts: start it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined " +
      "--security-opt apparmor=unconfined --security-opt systempaths=unconfined",
  },
];

/** One line for the operator: the cause and its remedy, or the launcher's own words where neither is known. */
export function explainFailure(error: unknown): string {
  const complaint = error instanceof Error ? error.message : String(error);
  const cause = CAUSES.find(({ applies }) => applies(complaint));
  if (cause === undefined) return complaint;
  return cause.isWhole ? cause.says : `${cause.says} (${complaint})`;
}

function kernelSays(name: string): string | null {
  const path = `/proc/sys/${name}`;
  return existsSync(path) ? readFileSync(path, "utf8").trim() : null;
}

function isInContainer(): boolean {
  return existsSync("/.dockerenv") || existsSync("/run/.containerenv") || existsSync("/var/run/secrets/kubernetes.io");
}
