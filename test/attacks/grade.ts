/** Owns the kinds of sandbox that the attacks meet, and what tells them apart. */
import { testPython } from "../../scripts/python-tests.ts";
import { startSandbox as startBubblewrap } from "../../worker-runner/sandbox/bubblewrap.ts";
import { findLandlock } from "../../worker-runner/sandbox/landlock/landlock-support.ts";
import type { StartSandbox } from "../../worker-runner/sandbox/sandbox-contract.ts";
import { runsAsRoot } from "../../worker-runner/sandbox/session-uid.ts";
import type { Zygotes } from "../../worker-runner/sandbox/zygotes.ts";
import { isHere } from "../support/needs.ts";

export interface Grade {
  kind: "bwrap" | "landlock";
  /** Whether the files are in a folder that is measured, not on a tmpfs. */
  isMeasured: boolean;
  /** Whether each session has a user of its own. */
  hasOwnUser: boolean;
  start(zygotes: Zygotes): StartSandbox;
}

const bwrap: Grade = {
  kind: "bwrap",
  isMeasured: false,
  hasOwnUser: true,
  // An interpreter with a network is never forked; any other must be, so that the attacks meet what users get.
  start: (zygotes) => (sandbox) =>
    sandbox.network === "on" ? startBubblewrap(sandbox) : zygotes.into("bwrap").startForked(sandbox),
};

/** The grades that this machine has, the better one first; `ATTACK_GRADES` names fewer. */
export async function findGrades(): Promise<Grade[]> {
  const asked = process.env.ATTACK_GRADES?.split(",") ?? ["bwrap", "landlock"];
  const grades: Grade[] = [];
  if (isHere("bubblewrap") && asked.includes("bwrap")) grades.push(bwrap);
  if (isHere("landlock") && asked.includes("landlock")) {
    const { canMount } = await findLandlock(process.env.PYTHON ?? testPython());
    grades.push({
      kind: "landlock",
      isMeasured: !canMount,
      hasOwnUser: runsAsRoot(),
      start: (zygotes) => zygotes.into("landlock").startForked,
    });
  }
  return grades;
}

export const underLandlock = ({ kind }: Grade): boolean => kind === "landlock";
export const isMeasured = (grade: Grade): boolean => grade.isMeasured;
export const sharesUser = ({ hasOwnUser }: Grade): boolean => !hasOwnUser;
