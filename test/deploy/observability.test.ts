/** The files for Prometheus and Grafana: their shape, and that panels and alerts are told apart. test/system/observability.test.ts holds the names of their metrics. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const unique = (names: readonly (string | number)[]) => new Set(names).size === names.length;

const Rule = z.strictObject({
  alert: z.string().regex(/^Pyrepl[A-Za-z]+$/),
  expr: z.string().min(1),
  for: z
    .string()
    .regex(/^\d+[smh]$/)
    .optional(),
  labels: z.strictObject({ severity: z.enum(["critical", "warning"]) }),
  annotations: z.strictObject({ summary: z.string().min(10) }),
});
const Rules = z.strictObject({ groups: z.array(z.strictObject({ name: z.string(), rules: z.array(Rule).min(1) })) });

const Target = z.looseObject({ refId: z.string(), expr: z.string().min(1), legendFormat: z.string() });
const Panel = z.looseObject({
  id: z.int(),
  type: z.enum(["timeseries", "stat"]),
  title: z.string().min(1),
  gridPos: z.object({ x: z.int(), y: z.int(), w: z.int().positive(), h: z.int().positive() }),
  targets: z.array(Target).min(1),
});
const Dashboard = z.looseObject({ uid: z.string(), title: z.string(), schemaVersion: z.int(), panels: z.array(Panel) });

it("has alert rules that Prometheus can read, each with a page in the docs", () => {
  const { groups } = Rules.parse(parse(readFileSync("deploy/observability/alerts.yaml", "utf8")));
  const names = groups.flatMap((group) => group.rules.map((rule) => rule.alert));
  expect(unique(names)).toBe(true);
  const page = readFileSync("docs/observability.md", "utf8");
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

it("has a dashboard whose panels do not overlap", () => {
  const { panels } = Dashboard.parse(JSON.parse(readFileSync("deploy/observability/grafana-dashboard.json", "utf8")));
  expect(unique(panels.map((panel) => panel.id))).toBe(true);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
  );
  expect(unique(cells)).toBe(true);
  expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
});
