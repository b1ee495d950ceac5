import { expect, it } from "vitest";
import type { CheckpointId, ExecutionId } from "../../../../src/protocol/identity.ts";
import { Blob } from "../../../../worker-runner/session/state/blob-files.ts";
import { History } from "../../../../worker-runner/session/state/history.ts";

const execution = (name: string) => name as ExecutionId;
const base = (name: string) => ({ checkpointId: name as CheckpointId, blob: new Blob(`/nonexistent/${name}`) });

it("lists what came after the base, but for changes that were no execution", () => {
  const history = new History();
  history.note(execution("a"));
  history.setBase(history.place, base("first"));
  history.note(execution("b"));
  history.note(null);
  history.note(execution("c"));
  expect(history.sinceBase).toEqual(["b", "c"]);
});

it("counts what came while a checkpoint was written as after it", () => {
  const history = new History();
  history.note(execution("a"));
  const { place } = history;
  history.note(execution("b"));
  history.setBase(place, base("slow"));
  expect(history.sinceBase).toEqual(["b"]);
});

it("takes no base that is older than the one it has", () => {
  const history = new History();
  const early = history.place;
  history.note(execution("a"));
  history.setBase(history.place, base("newer"));
  history.setBase(early, base("older"));
  expect(history.base?.checkpointId).toBe("newer");
  expect(history.sinceBase).toEqual([]);
});

it("takes no base from a state that was left", () => {
  const history = new History();
  history.note(execution("a"));
  const left = history.place;
  history.begin(null);
  history.setBase(left, base("left"));
  expect(history.base).toBeNull();
});

it("names what is lost by going back, and goes on from there", () => {
  const history = new History();
  for (const name of ["a", "b", "c"]) history.note(execution(name));
  const left = history.place;
  expect(history.goBack(1)).toEqual(["b", "c"]);
  expect(history.continues(left)).toBe(false);
  history.note(execution("d"));
  expect(history.sinceBase).toEqual(["a", "d"]);
  expect(history.goBack(2)).toEqual([]);
});

it("lists the latest thousand where more are lost", () => {
  const history = new History();
  for (let n = 0; n < 5_000; n += 1) history.note(execution(`${n}`));
  expect(history.sinceBase.length).toBe(1_000);
  expect(history.sinceBase.at(-1)).toBe("4999");
});
