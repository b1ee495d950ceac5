/** The parts of a client's object by themselves: real SQLite, real sockets, settings of the test's choice. */
import { runInDurableObject } from "cloudflare:test";
import { ClientSocket } from "../../../src/object/clients/client-socket.ts";
import { ClientStores } from "../../../src/object/session/client-stores.ts";
import type { JournalEvent } from "../../../src/object/store/journal-row.ts";
import type { EventType } from "../../../src/protocol/event.ts";
import type { ClientId, ExecutionId, SessionName } from "../../../src/protocol/identity.ts";
import { env, stubOf } from "./edge-client.ts";

export const SESSION = "default" as SessionName;
export const MIB = 1024 * 1024;

/** Calls `use` inside an object of its own, with that object's stores. */
export function withStores<T>(
  use: (stores: ClientStores) => T | Promise<T>,
  settings: Record<string, string> = {},
  clientId = `p-${crypto.randomUUID()}`,
): Promise<T> {
  return runInDurableObject(stubOf(clientId), async (_, state) => {
    const stores = new ClientStores(state, { ...env, ...settings } as never);
    stores.noteOwner({ tenant: "anonymous", clientId: clientId as ClientId });
    return use(stores);
  });
}

/** An event whose frame has about `size` characters. */
export function eventOf(seq: number, size = 100, executionId = "x", type: EventType = "output"): JournalEvent {
  const data = { type, execution_id: executionId, stream: "stdout", data: "o".repeat(size) };
  return {
    kind: "event",
    seq,
    type,
    executionId: executionId as ExecutionId,
    frame: JSON.stringify({ type, seq, data }),
  };
}

export interface Ends {
  socket: ClientSocket;
  /** What arrives at the client, in order; seqs for events, the type for anything else. */
  received(): Promise<(number | string)[]>;
}

/** Sent behind everything else; what came before it is all that was sent. */
const END_MARK = "end";

/** A socket as the object accepts it, and the client's end of it. */
export function openSocket(stores: ClientStores, cursor = 0): Ends {
  const { 0: client, 1: server } = new WebSocketPair();
  stores.ctx.acceptWebSocket(server);
  const texts: string[] = [];
  client.addEventListener("message", (message) => {
    texts.push(message.data as string);
  });
  client.accept();
  const who = { tenant: "anonymous", clientId: "c" as ClientId, session: SESSION, requestId: "r", cursor };
  return {
    socket: ClientSocket.accept(server, who),
    async received() {
      server.send(END_MARK);
      while (texts.at(-1) !== END_MARK) await new Promise((resolve) => setTimeout(resolve, 1));
      return texts.splice(0).flatMap((text) => {
        if (text === END_MARK) return [];
        const { seq, type } = JSON.parse(text) as { seq?: number; type: string };
        return type === "output" ? (seq ?? -1) : type;
      });
    },
  };
}
