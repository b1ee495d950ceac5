// Collects figures beside their baselines and targets, and prints them as a table or as JSON.

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The bare counterpart, measured in the same run. */
  readonly baseline?: { readonly what: string; readonly value: number };
  /** What is aimed at: a bound on the value, or on its ratio to the baseline. */
  readonly target?: { readonly atMost?: number; readonly atLeast?: number; readonly of?: "value" | "ratio" };
  readonly note?: string;
}

export interface Judged extends Figure {
  readonly ratio: number | null;
  /** Null where there is no target. */
  readonly isMet: boolean | null;
}

/** Adds the ratio to the baseline, and whether the target is met. */
export function judge(figure: Figure): Judged {
  const ratio = figure.baseline ? figure.value / figure.baseline.value : null;
  const { target } = figure;
  const judged = target?.of === "ratio" ? (ratio ?? Number.NaN) : figure.value;
  const isMet = target
    ? judged <= (target.atMost ?? Number.POSITIVE_INFINITY) && judged >= (target.atLeast ?? Number.NEGATIVE_INFINITY)
    : null;
  return { ...figure, ratio, isMet };
}

const shown = (value: number) =>
  Number.isNaN(value) ? "-" : value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);

function describeTarget({ target, unit }: Figure): string {
  if (!target) return "";
  const bound = target.atMost === undefined ? `≥ ${shown(target.atLeast ?? 0)}` : `≤ ${shown(target.atMost)}`;
  return target.of === "ratio" ? `${bound} ×` : `${bound} ${unit}`;
}

/** The figures as aligned columns. */
export function renderTable(figures: readonly Judged[]): string {
  const header = ["what", "measured", "baseline", "ratio", "target", "met", ""];
  const rows = figures.map((figure) => [
    figure.what,
    `${shown(figure.value)} ${figure.unit}`,
    figure.baseline ? `${shown(figure.baseline.value)} ${figure.baseline.what}` : "",
    figure.ratio === null ? "" : `${figure.ratio.toFixed(2)} ×`,
    describeTarget(figure),
    figure.isMet === null ? "" : figure.isMet ? "yes" : "NO",
    figure.note ?? "",
  ]);
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
