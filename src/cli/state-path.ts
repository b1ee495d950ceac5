/** Owns the folder in which `pyrepl3` keeps its files between runs, by the XDG Base Directory Specification. */
import { homedir } from "node:os";
import { join } from "node:path";

/** The path of a file or folder there. */
export function statePath(name: string): string {
  const { XDG_STATE_HOME: state } = process.env;
  return join(state || join(homedir(), ".local/state"), "pyrepl3", name);
}
