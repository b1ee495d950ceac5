/** Owns the names of signals by their numbers. */
import { constants } from "node:os";

/** The name of a signal, or null for a number that is none. */
export function signalName(number: number | null): NodeJS.Signals | null {
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return (name as NodeJS.Signals | undefined) ?? null;
}
