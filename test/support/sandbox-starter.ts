/** Starts sandboxes without end, four at a time, until it is killed: the program that the test of killed runners kills. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHANNEL_SOCKET_NAME } from "../../worker-runner/sandbox/sandbox-contract.ts";
import { testSandbox } from "../runner/sandbox/kept-keeper.ts";
import { startTestSandbox } from "./test-sandbox.ts";

const AT_A_TIME = 4;
let count = 0;

async function startAndEnd(): Promise<void> {
  const channelDirectory = mkdtempSync(join(tmpdir(), "pyrepl3-starter-"));
  const server = createServer((socket) => socket.on("error", () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(join(channelDirectory, CHANNEL_SOCKET_NAME), resolve));
  count += 1;
  const sandbox = await startTestSandbox({ ...testSandbox, id: `starter-${process.pid}-${count}`, channelDirectory });
  sandbox.stderr.resume();
  sandbox.stdin.end("token\n");
  await sandbox.kill();
  server.close();
  rmSync(channelDirectory, { recursive: true });
}

console.log("starting");
await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    for (;;) await startAndEnd();
  }),
);
