// Runs one command to its end and collects its output. The caller judges the result.
import { spawn } from "node:child_process";

export interface StepResult {
  readonly exitCode: number;
  readonly printed: string;
  readonly seconds: number;
}

export interface StepOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Also show the output while the command runs. */
  readonly isLive?: boolean;
}

/** Runs `command` with stdin closed. A command that cannot be started rejects. */
export function runStep(command: string, args: readonly string[], options: StepOptions = {}): Promise<StepResult> {
  const startedAt = performance.now();
  const chunks: Buffer[] = [];
  const child = spawn(command, args, {
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    if (options.isLive) process.stdout.write(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    if (options.isLive) process.stderr.write(chunk);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => {
      resolve({
        exitCode: exitCode ?? 1,
        printed: Buffer.concat(chunks).toString(),
        seconds: (performance.now() - startedAt) / 1000,
      });
    });
  });
}
