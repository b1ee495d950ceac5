/** Runs the attacks that depend on whom the runner runs as, and prints one line of JSON for each; `ordinary-user.test.ts` starts it. */
import { Arena } from "./arena.ts";
import type { Attack } from "./catalogue/attack.ts";
import { egressAttacks } from "./catalogue/egress.ts";
import { kernelEscapes, machineEscapes, processEscapes } from "./catalogue/escape.ts";
import { fileEscapes, SECRET } from "./catalogue/host-files.ts";
import { memoryAttacks } from "./catalogue/memory.ts";
import { processAttacks } from "./catalogue/processes.ts";
import { fileAttacks } from "./catalogue/space.ts";
import { checkpointAttacks, workspaceAttacks } from "./catalogue/state.ts";
import { zygoteAttacks } from "./catalogue/zygote.ts";
import { findGrades } from "./grade.ts";

export interface Report {
  name: string;
  /** Null where the attack was contained. */
  failure: string | null;
}

const attacks: readonly Attack[] = [
  ...processAttacks,
  ...memoryAttacks,
  ...fileAttacks,
  ...processEscapes,
  ...zygoteAttacks,
  ...kernelEscapes,
  ...machineEscapes,
  ...fileEscapes,
  ...egressAttacks,
  ...checkpointAttacks,
  ...workspaceAttacks,
];

process.env.RUNNER_TOKEN = SECRET;
for (const grade of await findGrades()) {
  const arena = new Arena(grade, process.env.PYTHON ? { python: process.env.PYTHON } : {});
  for (const attack of attacks) {
    const failure = await arena.run(attack).then(
      () => null,
      (error: Error) => error.stack ?? error.message,
    );
    console.log(JSON.stringify({ name: `${grade.kind}: ${attack.name}`, failure } satisfies Report));
  }
  await arena.close();
}
