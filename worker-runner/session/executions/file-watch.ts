/** Owns telling which files of the workspace an execution has changed. */
import type { FileChange } from "../../../src/protocol/file.ts";
import type { FileProcess } from "../../interpreter/file-process.ts";
import type { Interpreter } from "../../interpreter/interpreter.ts";

/** What the ending says. */
export interface FileReport {
  files: readonly FileChange[];
  /** Something is missing: there are too many files, or too many have changed, or the sandbox could not tell. */
  files_truncated: boolean;
}

const UNKNOWN: FileReport = { files: [], files_truncated: true };

/** Remembers the files as they are, in a process of the sandbox. */
export class FileWatch {
  readonly #process: FileProcess | null;

  private constructor(process: FileProcess | null) {
    this.#process = process;
  }

  /** Never rejects: code must run although its sandbox cannot tell about files. */
  static async begin(interpreter: Interpreter): Promise<FileWatch> {
    let process: FileProcess | null = null;
    try {
      process = await interpreter.openFiles();
      await process.ask({ type: "watch_files" }, "watching");
      return new FileWatch(process);
    } catch {
      process?.close();
      return new FileWatch(null);
    }
  }

  /** What has changed since, and the end of the watch. Never rejects. */
  async report(): Promise<FileReport> {
    try {
      const changed = await this.#process?.ask({ type: "report_files" }, "changed");
      return changed === undefined ? UNKNOWN : { files: changed.files, files_truncated: changed.truncated };
    } catch {
      return UNKNOWN;
    } finally {
      this.close();
    }
  }

  close(): void {
    this.#process?.close();
  }
}
