import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Door, newToken, type Peer } from "../../../worker-runner/channel/door.ts";
import { encodeFrame, encodeMessage, FrameKind } from "../../../worker-runner/channel/framing.ts";

async function openDoor(): Promise<{ door: Door; path: string }> {
  const directory = mkdtempSync(join(tmpdir(), "pyrepl3-door-"));
  const path = join(directory, "channel.sock");
  const door = await Door.open(path);
  onTestFinished(async () => {
    await door.close();
    rmSync(directory, { recursive: true });
  });
  return { door, path };
}

async function knock(path: string): Promise<{ socket: Socket; closed: Promise<void> }> {
  const socket = connect(path);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => socket.destroy());
  socket.resume();
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return { socket, closed };
}

const token = "f".repeat(32);

function hello(shown: string, role = "live"): Buffer {
  return encodeMessage({ type: "hello", role, token: shown, pid: 7 });
}

it("lets in who shows the token, with the frames right behind it", async () => {
  const { door, path } = await openDoor();
  const frames: string[] = [];
  const peer = await new Promise<Peer>((resolve) => {
    door.expect(token, "live", (arrived) => {
      arrived.connection.adopt(
        (_kind, payload) => frames.push(payload.toString()),
        () => undefined,
      );
      resolve(arrived);
    });
    void knock(path).then(({ socket }) =>
      socket.write(Buffer.concat([hello(token), encodeFrame(FrameKind.blob, Buffer.from("next"))])),
    );
  });
  expect(peer.hello.pid).toBe(7);
  await expect.poll(() => frames).toEqual(["next"]);
  peer.connection.destroy();
});

it.each([
  ["a wrong token", () => hello("0".repeat(32))],
  ["a frame that is no hello", () => encodeMessage({ type: "exit" })],
  ["something other than JSON", () => encodeFrame(FrameKind.json, Buffer.from("{"))],
  ["output before any hello", () => encodeFrame(FrameKind.output, Buffer.alloc(20))],
  [
    "a hello longer than one needs",
    () => encodeMessage({ type: "hello", role: "live", token: "x".repeat(5000), pid: 7 }),
  ],
])("shuts out who comes with %s", async (_what, bytes) => {
  const { door, path } = await openDoor();
  door.expect(token, "live", () => expect.unreachable());
  const { socket, closed } = await knock(path);
  socket.write(bytes());
  await closed;
});

it("shuts out who shows the token for another role", async () => {
  const { door, path } = await openDoor();
  door.expect(token, "snapshot", () => expect.unreachable());
  const { socket, closed } = await knock(path);
  socket.write(hello(token, "live"));
  await closed;
});

it("hands out tokens of 32 hex digits, each once", () => {
  const tokens = Array.from({ length: 100 }, newToken);
  expect(new Set(tokens).size).toBe(100);
  for (const each of tokens) expect(each).toMatch(/^[0-9a-f]{32}$/);
});

it("takes a token once only", async () => {
  const { door, path } = await openDoor();
  let admitted = 0;
  door.expect(token, "live", (peer) => {
    admitted += 1;
    peer.connection.destroy();
  });
  const first = await knock(path);
  first.socket.write(hello(token));
  await first.closed;
  const second = await knock(path);
  second.socket.write(hello(token));
  await second.closed;
  expect(admitted).toBe(1);
});

it("shuts out who says nothing for two seconds", async () => {
  const { path } = await openDoor();
  const startedAt = performance.now();
  const { closed } = await knock(path);
  await closed;
  expect(performance.now() - startedAt).toBeGreaterThan(1_900);
});

it("has room for sixteen who have not said hello, and for a seventeenth once one has left", async () => {
  const { door, path } = await openDoor();
  const strangers = await Promise.all(Array.from({ length: 16 }, () => knock(path)));
  const late = await knock(path);
  await late.closed;
  strangers[0]?.socket.destroy();
  await strangers[0]?.closed;
  const admitted = new Promise<void>((resolve) => {
    door.expect(token, "live", (peer) => {
      peer.connection.destroy();
      resolve();
    });
    void knock(path).then(({ socket }) => socket.write(hello(token)));
  });
  await admitted;
});
