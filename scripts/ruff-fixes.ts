// Applies the fixes that ruff offers to a Python source; it leaves to the caller which findings deserve that.
import type { Diagnostic } from "@astral-sh/ruff-wasm-nodejs";

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly content: string;
}

/** Offsets of each line's start; ruff counts rows and columns from 1, in UTF-16 units. */
function lineStarts(source: string): number[] {
  const starts = [0];
  for (let at = source.indexOf("\n"); at !== -1; at = source.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** The source with the fixes of `findings` made; a fix that overlaps an earlier one waits for the next round. */
export function applyFixes(source: string, findings: readonly Diagnostic[]): string {
  const starts = lineStarts(source);
  const offset = ({ row, column }: { row: number; column: number }) => (starts[row - 1] ?? source.length) + column - 1;
  const taken: Edit[] = [];
  for (const { fix } of findings) {
    const edits = (fix?.edits ?? []).map((edit) => ({
      from: offset(edit.location),
      to: offset(edit.end_location),
      content: edit.content ?? "",
    }));
    const touches = (edit: Edit) => taken.some((other) => edit.from <= other.to && other.from <= edit.to);
    if (!edits.some(touches)) taken.push(...edits);
  }
  return taken
    .sort((a, b) => b.from - a.from)
    .reduce((text, edit) => text.slice(0, edit.from) + edit.content + text.slice(edit.to), source);
}
