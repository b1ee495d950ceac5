// Takes times and sums them up; knows nothing of what is measured.

/** Milliseconds, in the order they were taken. */
export type Samples = readonly number[];

/** The value below which the share `p` (0 to 1) of the samples lies. */
export function percentile(samples: Samples, p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * p))] ?? Number.NaN;
}

/** Runs `action` one after the other, `count` times, and returns how many milliseconds each took. */
export async function time(count: number, action: (index: number) => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    await action(index);
    samples.push(performance.now() - startedAt);
  }
  return samples;
}

/** Megabytes (10^6 bytes) a second. */
export function megabytesPerSecond(bytes: number, milliseconds: number): number {
  return bytes / 1e6 / (milliseconds / 1000);
}
