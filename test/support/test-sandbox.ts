/** Owns how tests start a keeper if they do not test the sandbox itself: with bubblewrap, or without a sandbox on a machine that lacks it. */
import { startSandbox } from "../../worker-runner/sandbox/bubblewrap.ts";
import type { StartSandbox } from "../../worker-runner/sandbox/sandbox-contract.ts";
import { startUnsandboxed } from "../../worker-runner/sandbox/unsandboxed.ts";
import { isHere } from "./needs.ts";

export const startTestSandbox: StartSandbox = isHere("bubblewrap") ? startSandbox : startUnsandboxed;
