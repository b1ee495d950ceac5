/** Owns a keeper started for a test: its channel, which nobody speaks on, and the options that tests share. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testPython } from "../../../scripts/python-tests.ts";
import { startSandbox } from "../../../worker-runner/sandbox/bubblewrap.ts";
import {
  CHANNEL_SOCKET_NAME,
  type Sandbox,
  type SandboxLimits,
  type SandboxOptions,
  type StartSandbox,
} from "../../../worker-runner/sandbox/sandbox-contract.ts";

const MIB = 1024 * 1024;

export const testLimits: SandboxLimits = {
  memoryBytes: 512 * MIB,
  processes: 64,
  workspaceBytes: 64 * MIB,
  workspaceFiles: 4_096,
  openFiles: 256,
};

export const testSandbox: Omit<SandboxOptions, "id" | "channelDirectory"> = {
  workspaceDirectory: null,
  python: testPython(),
  preload: [],
  limits: testLimits,
  network: "off",
  env: {},
};

export interface KeptKeeper {
  sandbox: Sandbox;
  /** The keeper's first message. */
  hello: Promise<Record<string, unknown>>;
  connection: Promise<Socket>;
  end(): Promise<void>;
}

let count = 0;

/** Starts a keeper and listens for its hello; `end` removes everything. */
export async function keepKeeper(
  options: Partial<SandboxOptions> = {},
  start: StartSandbox = startSandbox,
): Promise<KeptKeeper> {
  const channelDirectory = mkdtempSync(join(tmpdir(), "pyrepl3-keeper-"));
  const server = createServer();
  const clear = async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(channelDirectory, { recursive: true });
  };
  const connection = new Promise<Socket>((resolve) => {
    server.once("connection", (socket) => resolve(socket.on("error", () => socket.destroy())));
  });
  await new Promise<void>((resolve) => {
    server.listen(join(channelDirectory, CHANNEL_SOCKET_NAME), resolve);
  });
  count += 1;
  try {
    const sandbox = await start({ ...testSandbox, id: `test-${process.pid}-${count}`, channelDirectory, ...options });
    sandbox.stderr.resume();
    sandbox.stdin.end("token\n");
    const hello = connection.then(
      (socket) =>
        new Promise<Record<string, unknown>>((resolve) => {
          socket.once("data", (frame: Buffer) => resolve(JSON.parse(frame.subarray(5).toString())));
        }),
    );
    const end = async () => {
      await sandbox.kill();
      void connection.then((socket) => socket.destroy());
      await clear();
    };
    return { sandbox, hello, connection, end };
  } catch (error) {
    await clear();
    throw error;
  }
}
