import { expect, it } from "vitest";
import { OutputRetention } from "../../../../worker-runner/session/events/output-retention.ts";

const KEPT = { headBytes: 10, tailBytes: 20 };

function watched() {
  const told: string[] = [];
  const retention = new OutputRetention({
    publishText: (text, stream) => told.push(stream === "stdout" ? text : `${stream} ${text}`),
    publishDropped: (bytes) => told.push(`dropped ${bytes}`),
  });
  return { told, retention };
}

it("publishes the beginning at once, and the end when it is released, with one notice of the middle", () => {
  const { told, retention } = watched();
  for (let n = 0; n < 10; n += 1) retention.addDisplay(KEPT, 5, () => told.push(`d${n}`));
  expect(told).toEqual(["d0", "d1"]);
  retention.release();
  expect(told).toEqual(["d0", "d1", "dropped 20", "d6", "d7", "d8", "d9"]);
});

it("drops nothing, and gives no notice, while beginning and end have room for all of it", () => {
  const { told, retention } = watched();
  for (const text of ["a".repeat(7), "b".repeat(7), "c".repeat(7)]) retention.addText(KEPT, text, "stdout");
  retention.release();
  expect(told).toEqual(["aaaaaaa", "bbbbbbbccccccc"]);
});

it("joins text of one stream, and keeps the order of streams and displays", () => {
  const { told, retention } = watched();
  retention.addText(KEPT, "x".repeat(10), "stdout");
  retention.addText(KEPT, "a", "stdout");
  retention.addText(KEPT, "é", "stdout");
  retention.addText(KEPT, "e", "stderr");
  retention.addDisplay(KEPT, 3, () => told.push("display"));
  retention.addText(KEPT, "z", "stdout");
  retention.release();
  expect(told).toEqual(["x".repeat(10), "aé", "stderr e", "display", "z"]);
});

it("holds what follows held output, however short it is", () => {
  const { told, retention } = watched();
  retention.addText(KEPT, "much too long", "stdout");
  retention.addText(KEPT, "!", "stdout");
  expect(told).toEqual([]);
  retention.release();
  expect(told).toEqual(["much too long!"]);
});

it("publishes held output before output of which all is of use", () => {
  const { told, retention } = watched();
  retention.addText(KEPT, "0123456789", "stdout");
  retention.addText(KEPT, "held", "stdout");
  retention.addText(null, "next", "stdout");
  expect(told).toEqual(["0123456789", "held", "next"]);
});

it("loses no count over many thousand pieces, and holds a bounded number of displays", () => {
  const { told, retention } = watched();
  const kept = { headBytes: 10, tailBytes: 1_000_000 };
  for (let n = 0; n < 50_000; n += 1) retention.addDisplay(kept, 1, () => told.push(`${n}`));
  retention.release();
  expect(told[10]).toBe("dropped 45894");
  expect(told.slice(11)).toEqual(Array.from({ length: 4_096 }, (_, n) => `${45_904 + n}`));
});
