/** Owns tables in a terminal: rows of text in columns that line up. */
import { visibleText } from "./visible-text.ts";

/** Prints the rows; the cells may come from code, so that no control character of theirs reaches the terminal. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [header, ...rows.map((row) => row.map(visibleText))];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  for (const row of all) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}

/** Unix seconds as a date and time of day in UTC. */
export function timeText(seconds: number | null): string {
  return seconds === null ? "-" : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}
