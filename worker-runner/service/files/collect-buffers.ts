/**
 * Owns when the buffers of passed content are collected. Node reads into buffers outside the heap, and V8 collects such memory only
 * after about 64 MiB of it, so that a runner on a fast machine would grow by more than that during a transfer.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const COLLECT_EVERY_BYTES = 16 * 1024 * 1024;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options: { type: "minor" }) => void;

let passedBytes = 0;

/** Counts bytes of content that this process has passed on. Their buffers are young, so a collection of the young ones is enough. */
export function notePassed(bytes: number): void {
  passedBytes += bytes;
  if (passedBytes < COLLECT_EVERY_BYTES) return;
  passedBytes = 0;
  collect({ type: "minor" });
}
