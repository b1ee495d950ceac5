// Random numbers that a failed test can be repeated with.

/** A function that returns integers below its argument; mulberry32, Tommy Ettinger's public-domain generator. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A seed for this run, from `SEED` where a run is to be repeated. */
export function chooseSeed(): number {
  return Number(process.env.SEED ?? Date.now() % 1_000_000_000);
}
