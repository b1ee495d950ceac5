// Says which figures got worse since an earlier run that was saved with `--json`.
import { z } from "zod";
import type { Judged } from "./report.ts";

const WORSE_BY = 1.1;
/** Of these units more is better. */
const MORE_IS_BETTER = new Set(["MB/s", "/s", "executions/s", "sessions"]);

const Saved = z.object({ figures: z.array(z.object({ what: z.string(), value: z.number().nullable() })) });

/** One line for each figure that is worse by more than a tenth. */
export function whatGotWorse(savedJson: string, figures: readonly Judged[]): string[] {
  const now = new Map(figures.map((figure) => [figure.what, figure]));
  const lines: string[] = [];
  for (const { what, value: before } of Saved.parse(JSON.parse(savedJson)).figures) {
    const figure = now.get(what);
    if (figure === undefined || before === null || !Number.isFinite(figure.value)) continue;
    const isMoreBetter = MORE_IS_BETTER.has(figure.unit) || figure.target?.atLeast !== undefined;
    const isWorse = isMoreBetter ? figure.value * WORSE_BY < before : figure.value > before * WORSE_BY;
    if (isWorse) lines.push(`worse: ${what}: ${before.toPrecision(3)} → ${figure.value.toPrecision(3)} ${figure.unit}`);
  }
  return lines;
}
