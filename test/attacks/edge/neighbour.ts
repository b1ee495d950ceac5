/** A client in a process of its own: asks for `1 + 1` again and again, and tells how long each answer took when it is stopped. */
import WebSocket from "ws";

const PAUSE_MS = 25;
const WARM_UP = 10;

const [url = ""] = process.argv.slice(2);
const socket = new WebSocket(`${url}?client_id=neighbour-${process.pid}`, { perMessageDeflate: false });
const waitsMs: number[] = [];
let startedAt = 0;
let asked = 0;

function ask(): void {
  startedAt = performance.now();
  asked += 1;
  socket.send(JSON.stringify({ type: "execute", id: `sum-${asked}`, code: "1 + 1" }));
}

socket.on("open", ask);
socket.on("message", (raw) => {
  const frame = JSON.parse(raw.toString()) as { type: string; data: { value?: unknown } };
  if (frame.type !== "result" || frame.data.value !== 2) {
    throw new Error(`the neighbour got ${raw.toString().slice(0, 500)}`);
  }
  waitsMs.push(performance.now() - startedAt);
  if (asked === WARM_UP) process.send?.("ready");
  setTimeout(ask, PAUSE_MS);
});
socket.on("close", (code) => {
  throw new Error(`the neighbour's socket was closed with ${code}`);
});
process.on("message", (order) => {
  if (order === "start") waitsMs.length = 0;
  // The answer that is awaited now counts with the time that it has taken so far.
  if (order === "stop") process.send?.([...waitsMs, performance.now() - startedAt - PAUSE_MS]);
});
process.on("disconnect", () => process.exit());
