// The least that a runner can do: one WebSocket, one Python on a pipe, each line passed on as it is. Prints its port.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";

const script = new URL("bare_python.py", import.meta.url).pathname;
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 1 << 27 });

server.on("connection", (socket) => {
  const python = spawn(process.env.PYTHON ?? "python3", [script], { stdio: ["pipe", "pipe", "inherit"] });
  socket.on("message", (frame) => python.stdin.write(`${frame}\n`));
  createInterface({ input: python.stdout }).on("line", (line) => socket.send(line));
  socket.on("close", () => python.stdin.end());
});
server.on("listening", () => {
  const address = server.address();
  if (address && typeof address === "object") console.log(address.port);
});
// The parent holds standard input open; when it ends, so does this.
process.stdin.on("end", () => process.exit(0)).resume();
