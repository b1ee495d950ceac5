/** The command line remembers the end of an unfinished line, so that a prompt does not write over it. */
import { afterEach, expect, it, vi } from "vitest";
import { OutputWriter } from "../../src/cli/output-writer.ts";

afterEach(() => vi.restoreAllMocks());

async function openLineAfter(...pieces: string[]): Promise<string> {
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const output = new OutputWriter();
  for (const piece of pieces) await output.write("stdout", piece);
  return output.takeOpenLine();
}

it.each([
  [["a line\n"], ""],
  [["a ", "line"], "a line"],
  [["a line\nand ", "more"], "and more"],
  [["10 %\r", "20 %"], "20 %"],
  [["10 %\r20 %\r"], "20 %\r"],
])("remembers of %j what no line end has ended: %j", async (pieces, open) => {
  expect(await openLineAfter(...pieces)).toBe(open);
});

it("remembers only the end of a line without end, which costs nothing more with each piece", async () => {
  const open = await openLineAfter(..."abcdef".split("").map((letter) => letter.repeat(1_000_000)));
  expect(open).toBe("f".repeat(4096));
});
