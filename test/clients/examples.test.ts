/** The examples in TypeScript against everything real. `page-of-another-origin.test.ts` opens the page. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { runJobs } from "../../examples/job-queue.ts";
import { runCode } from "../../examples/run-code.ts";
import { type Client, connect } from "../../src/client/index.ts";
import { type Product, startProduct } from "../support/product.ts";

let product: Product;
let python: Client;
beforeAll(async () => {
  product = await startProduct();
  python = connect({ url: product.url });
});
afterAll(async () => {
  python?.close();
  await product?.stop();
});

it("gives a model the output, the value and the traceback of its code", async () => {
  expect(await runCode(python, "x = 20\nprint('Hello')\nx + 1")).toEqual({ text: "Hello\n21", images: [] });
  expect((await runCode(python, "x = 0\n1 / x")).text).toMatch(
    /^Traceback [\s\S]*ZeroDivisionError: division by zero$/,
  );
  expect(await runCode(python, "x")).toEqual({ text: "20", images: [] });
  expect((await runCode(python, "y = 1")).text).toBe("(no output)");
});

it("shortens long output in its middle", async () => {
  const { text } = await runCode(python, "print('a' * 9_000 + 'z')");
  expect(text).toMatch(/^a{2000}\n\[5001 characters left out\]\na{1999}z$/);
});

it("gives a model a few images", async () => {
  const code = `class Figure:
    def _repr_png_(self): return b"\\x89PNG\\r\\n"
for _ in range(5): display(Figure())
Figure()`;
  const { text, images } = await runCode(python, code);
  expect(images).toEqual(Array.from({ length: 4 }, () => "iVBORw0K"));
  expect(text).toContain("[2 images left out]");
});

it("runs jobs a few at a time, each once however often the queue is started", async () => {
  const queue = connect({ url: product.url, clientId: "queue" });
  const jobs = Array.from({ length: 7 }, (_, index) => ({
    id: `job-${index}`,
    code: index === 3 ? "1 / 0" : `import time; kept = 'left behind'\ntime.time(), ${index} ** 2`,
  }));
  const ended: string[] = [];
  const first = await runJobs(queue, jobs.slice(0, 5), { onEnd: ({ id }) => ended.push(id) });
  expect(ended.toSorted()).toEqual(jobs.slice(0, 5).map(({ id }) => id));
  const second = await runJobs(queue, jobs);
  expect(second.map(({ value, error }) => error?.type ?? (value as number[])[1])).toEqual([
    0,
    1,
    4,
    "ZeroDivisionError",
    16,
    25,
    36,
  ]);
  // The time when it ran is that of the first start.
  expect(second.slice(0, 5).map(({ value }) => value)).toEqual(first.map(({ value }) => value));
  const worker = queue.openSession("worker-1");
  expect((await worker.run("'kept' in globals()")).value).toBe(false);
  worker.close();
  queue.close();
});
