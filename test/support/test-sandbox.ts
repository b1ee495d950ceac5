/** Owns how tests start a keeper if they do not test the sandbox itself: with bubblewrap, otherwise under Landlock, otherwise without a sandbox. */
import { startSandbox } from "../../worker-runner/sandbox/bubblewrap.ts";
import { startLandlocked } from "../../worker-runner/sandbox/landlock/landlocked.ts";
import type { StartSandbox } from "../../worker-runner/sandbox/sandbox-contract.ts";
import { startUnsandboxed } from "../../worker-runner/sandbox/unsandboxed.ts";
import { isHere } from "./needs.ts";

export const startTestSandbox: StartSandbox = isHere("bubblewrap")
  ? startSandbox
  : isHere("landlock")
    ? startLandlocked
    : startUnsandboxed;
