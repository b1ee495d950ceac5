/** Owns the plots of a simulation, as SVG that is the same for the same numbers. */
import type { Moment } from "./simulate.ts";

const WIDTH = 720;
const HEIGHT = 260;
const LEFT = 56;
const BOTTOM = 44;
const TOP = 34;

function frame(title: string, body: string[]): string {
  const style = "font-family:sans-serif;font-size:12px;fill:#333";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" style="${style};background:#fff">`,
    `<title>${title}</title>`,
    `<text x="${LEFT}" y="18" font-weight="bold">${title}</text>`,
    ...body,
    "</svg>\n",
  ].join("\n");
}

/** How many runners hold how many sessions. */
export function drawLoads(loads: readonly number[], mean: number): string {
  const counts = new Map<number, number>();
  for (const load of loads) counts.set(load, (counts.get(load) ?? 0) + 1);
  const [low, high] = [Math.min(...counts.keys()), Math.max(...counts.keys())];
  const most = Math.max(...counts.values());
  const step = (WIDTH - LEFT - 20) / (high - low + 1);
  const y = (count: number) => HEIGHT - BOTTOM - (count / most) * (HEIGHT - BOTTOM - TOP);
  const bars = [...counts]
    .toSorted(([a], [b]) => a - b)
    .map(([load, count]) => {
      const x = LEFT + (load - low) * step;
      const height = HEIGHT - BOTTOM - y(count);
      return `<rect x="${x.toFixed(1)}" y="${y(count).toFixed(1)}" width="${Math.max(1, step - 1).toFixed(1)}" height="${height.toFixed(1)}" fill="#4c78a8"/>`;
    });
  return frame(`Sessions of each of ${loads.length} runners (mean ${mean.toFixed(1)}, most ${high})`, [
    ...bars,
    `<text x="${LEFT}" y="${HEIGHT - 24}">${low}</text>`,
    `<text x="${WIDTH - 20}" y="${HEIGHT - 24}" text-anchor="end">${high} sessions</text>`,
    `<text x="8" y="${TOP + 6}">${most}</text>`,
  ]);
}

/** The fullest runner by the mean after each event. */
export function drawMoments(moments: readonly Moment[]): string {
  const step = (WIDTH - LEFT - 20) / moments.length;
  const top = Math.max(1.2, ...moments.map((moment) => moment.maxByMean)) + 0.05;
  const y = (value: number) => HEIGHT - BOTTOM - ((value - 1) / (top - 1)) * (HEIGHT - BOTTOM - TOP);
  const body = moments.flatMap((moment, index) => {
    const x = LEFT + (index + 0.5) * step;
    return [
      `<rect x="${(x - 16).toFixed(1)}" y="${y(moment.maxByMean).toFixed(1)}" width="32" height="${(HEIGHT - BOTTOM - y(moment.maxByMean)).toFixed(1)}" fill="#4c78a8"/>`,
      `<text x="${x.toFixed(1)}" y="${(y(moment.maxByMean) - 4).toFixed(1)}" text-anchor="middle">${moment.maxByMean.toFixed(3)}</text>`,
      `<text x="${x.toFixed(1)}" y="${HEIGHT - 26}" text-anchor="middle" font-size="10">${moment.event}</text>`,
      `<text x="${x.toFixed(1)}" y="${HEIGHT - 12}" text-anchor="middle" font-size="10">${(moment.moved * 100).toFixed(2)} % moved</text>`,
    ];
  });
  const bound = y(1.15).toFixed(1);
  return frame("Sessions of the fullest runner by the mean, after each event", [
    ...body,
    `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${bound}" y2="${bound}" stroke="#e45756" stroke-dasharray="4 3"/>`,
    `<text x="8" y="${bound}">1.15</text>`,
  ]);
}
