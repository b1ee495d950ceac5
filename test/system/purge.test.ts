/** After a purge, nothing of a session's code, output, variables and checkpoints is left in any file of the state folder. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

/** Never in one piece in this file's own text, nor in what the service logs. */
const MARKER = ["purged", "marker", process.pid].join("-");

let product: Product;
beforeAll(async () => {
  product = await startProduct({ AUTOSAVE_SECONDS: "0.2" });
});
afterAll(() => product?.stop());

/** Files that hold the marker, write-ahead logs among them. */
function filesWithMarker(): string[] {
  const files = readdirSync(product.stateDir, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files
    .map((file) => join(file.parentPath, file.name))
    .filter((path) => {
      try {
        return readFileSync(path).includes(MARKER);
      } catch {
        // A blob that was just deleted.
        return false;
      }
    });
}

it("leaves nothing of it in the database, its log or the bucket, and keeps the other sessions", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "purger" });
  const other = await SocketClient.open(product.socketUrl, { clientId: "purger", session: "other" });
  await other.run("kept = 'here'", { id: "of-the-other" });
  for (let round = 0; round < 20; round += 1) {
    await client.value(`print("${MARKER}", "y" * 3000); secret_${round} = "${MARKER}"`);
  }
  client.send({ type: "checkpoint", id: "saved", name: MARKER });
  await client.until((frame) => frame.type === "checkpoint_created");
  await client.close();
  expect(filesWithMarker()).not.toEqual([]);
  const answer = await fetch(`${product.url}/api/v1/session?purge=true`, {
    method: "DELETE",
    headers: { "client-id": "purger" },
  });
  expect(answer.status).toBe(204);
  await expect.poll(filesWithMarker, { timeout: 60_000, interval: 500 }).toEqual([]);
  const execution = await fetch(`${product.url}/api/v1/executions/of-the-other`, {
    headers: { "client-id": "purger" },
  });
  expect(await execution.json()).toMatchObject({ status: "succeeded", code: "kept = 'here'" });
  expect(await other.value("kept")).toBe("here");
  await other.close();
});
