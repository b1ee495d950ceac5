/** Owns the socket that one sandbox's processes connect to. A process must send a token that the runner expects. */
import { randomBytes } from "node:crypto";
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { Connection } from "./connection.ts";
import { ChannelViolation, FrameKind } from "./framing.ts";
import { Hello } from "./message.ts";
import { parseMessage } from "./parse-message.ts";

const HELLO_DEADLINE_MS = 2_000;
/** Connections that have not sent a valid hello yet. */
const MAX_PENDING = 16;
const HELLO_MAX_BYTES = 4_096;

/** A process that has connected with a valid token. */
export interface Peer {
  connection: Connection;
  hello: Hello;
}

/** 32 hex digits, never used before. */
export function newToken(): string {
  return randomBytes(16).toString("hex");
}

interface Expected {
  role: Hello["role"];
  admit(peer: Peer): void;
}

export class Door {
  readonly #server: Server;
  readonly #pending = new Set<Connection>();
  readonly #expected = new Map<string, Expected>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a new socket at `path`. */
  static async open(path: string): Promise<Door> {
    const server = createServer();
    const door = new Door(server);
    server.on("connection", (socket) => door.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    });
    // The sandbox may run as another user. The token decides who may connect.
    await chmod(path, 0o666);
    return door;
  }

  /** Accepts one process of `role` with `token`. `admit` is called in the same call that parsed its hello. */
  expect(token: string, role: Hello["role"], admit: (peer: Peer) => void): void {
    this.#expected.set(token, { role, admit });
  }

  /** The token is no longer valid. */
  revoke(token: string): void {
    this.#expected.delete(token);
  }

  async close(): Promise<void> {
    this.#expected.clear();
    for (const connection of this.#pending) connection.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    if (this.#pending.size >= MAX_PENDING) {
      socket.destroy();
      return;
    }
    const leave = () => {
      clearTimeout(deadline);
      this.#pending.delete(connection);
    };
    const connection: Connection = new Connection(
      socket,
      HELLO_MAX_BYTES,
      (kind, payload) => {
        leave();
        this.#onHello(connection, kind, payload);
      },
      leave,
    );
    const deadline = setTimeout(() => connection.destroy(), HELLO_DEADLINE_MS);
    this.#pending.add(connection);
  }

  #onHello(connection: Connection, kind: number, payload: Buffer): void {
    if (kind !== FrameKind.json) throw new ChannelViolation("the first frame is no hello");
    const hello = parseMessage(Hello, payload);
    const expected = this.#expected.get(hello.token);
    if (expected?.role !== hello.role) throw new ChannelViolation("a hello without a valid token");
    this.#expected.delete(hello.token);
    expected.admit({ connection, hello });
  }
}
