// Applies the fix that ruff offers for one finding. The caller chooses the findings.
import type { Diagnostic } from "@astral-sh/ruff-wasm-nodejs";

/** Offset of a place in the source; ruff counts rows and columns from 1, in UTF-16 units. */
function offsetOf(source: string, place: { row: number; column: number }): number {
  let start = 0;
  for (let row = 1; row < place.row; row += 1) start = source.indexOf("\n", start) + 1 || source.length;
  return start + place.column - 1;
}

/** The source with the fix of `finding`; unchanged if there is no fix. */
export function applyFix(source: string, finding: Diagnostic): string {
  return (finding.fix?.edits ?? [])
    .map((edit) => ({
      from: offsetOf(source, edit.location),
      to: offsetOf(source, edit.end_location),
      content: edit.content ?? "",
    }))
    .sort((one, other) => other.from - one.from)
    .reduce((text, { from, to, content }) => text.slice(0, from) + content + text.slice(to), source);
}
