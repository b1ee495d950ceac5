/** Owns the socket that one sandbox's processes connect to: only who shows a token that was handed out gets in. */
import { randomBytes } from "node:crypto";
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { Connection } from "./connection.ts";
import { ChannelViolation, FrameKind } from "./framing.ts";
import { Hello, parseMessage } from "./message.ts";

const HELLO_DEADLINE_MS = 2_000;
const MAX_STRANGERS = 16;
const HELLO_MAX_BYTES = 4_096;

export interface Guest {
  connection: Connection;
  hello: Hello;
}

/** 32 hex digits, never used before. */
export function newToken(): string {
  return randomBytes(16).toString("hex");
}

interface Invitation {
  role: Hello["role"];
  admit(guest: Guest): void;
}

export class Door {
  readonly #server: Server;
  readonly #strangers = new Set<Connection>();
  readonly #invitations = new Map<string, Invitation>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a new socket at `path`. */
  static async open(path: string): Promise<Door> {
    const server = createServer();
    const door = new Door(server);
    server.on("connection", (socket) => door.#meet(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    });
    // The sandbox may run as another user; who may come in is decided by the token.
    await chmod(path, 0o666);
    return door;
  }

  /** Lets in the process of this role that shows `token`, once. `admit` is called when it comes, synchronously with its hello. */
  invite(token: string, role: Hello["role"], admit: (guest: Guest) => void): void {
    this.#invitations.set(token, { role, admit });
  }

  /** The token is worth nothing from here on. */
  revoke(token: string): void {
    this.#invitations.delete(token);
  }

  async close(): Promise<void> {
    this.#invitations.clear();
    for (const stranger of this.#strangers) stranger.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #meet(socket: Socket): void {
    if (this.#strangers.size >= MAX_STRANGERS) {
      socket.destroy();
      return;
    }
    const leave = () => {
      clearTimeout(deadline);
      this.#strangers.delete(stranger);
    };
    const stranger: Connection = new Connection(
      socket,
      HELLO_MAX_BYTES,
      (kind, payload) => {
        leave();
        this.#greet(stranger, kind, payload);
      },
      leave,
    );
    const deadline = setTimeout(() => stranger.destroy(), HELLO_DEADLINE_MS);
    this.#strangers.add(stranger);
  }

  #greet(stranger: Connection, kind: number, payload: Buffer): void {
    if (kind !== FrameKind.json) throw new ChannelViolation("the first frame is no hello");
    const hello = parseMessage(Hello, payload);
    const invitation = this.#invitations.get(hello.token);
    if (invitation?.role !== hello.role) throw new ChannelViolation("a hello without a valid token");
    this.#invitations.delete(hello.token);
    invitation.admit({ connection: stranger, hello });
  }
}
