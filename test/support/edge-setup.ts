/** Starts the scripted runner beside workerd, before the edge's tests, and tells them where it is. */
import type { TestProject } from "vitest/node";
import { startScriptedRunner } from "./scripted-runner.ts";
import { muteWorkerdNoise } from "./workerd-noise.ts";

declare module "vitest" {
  interface ProvidedContext {
    scriptedRunnerUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runner = await startScriptedRunner();
  project.provide("scriptedRunnerUrl", runner.url);
  const endMute = muteWorkerdNoise();
  return async () => {
    endMute();
    await runner.stop();
  };
}
