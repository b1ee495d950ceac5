/** Owns the options that say which session a command is about, and opens a client with them. */
import { userInfo } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import { WebSocket } from "ws";
import { Client } from "../client/client.ts";
import type { ConnectionState } from "../client/connection.ts";

export interface SessionOptions {
  url: string;
  clientId: string;
  session: string;
  token?: string;
  onConnection?(state: ConnectionState): void;
}

const DEFAULT_URL = "http://127.0.0.1:8787";

/** A service that is not there is known soon: on one machine at once, elsewhere within the time of a handshake. */
const OPEN_TIMEOUT_MS = 3000;

/** The same user finds the same sessions again. */
function defaultClientId(): string {
  const user = userInfo().username.replaceAll(/[^A-Za-z0-9._~-]/g, "-");
  return `cli-${user}`.slice(0, 128);
}

function parseUrl(value: string): string {
  if (!URL.canParse(value) || !/^(http|ws)s?:/i.test(value)) {
    throw new InvalidArgumentError(`It must be an address such as ${DEFAULT_URL}.`);
  }
  return value;
}

/** Adds the options to a command; each has an environment variable. */
export function addSessionOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--url <url>", "where the service is").env("PYREPL3_URL").default(DEFAULT_URL).argParser(parseUrl),
    )
    .addOption(new Option("--client-id <id>", "who calls").env("PYREPL3_CLIENT_ID").default(defaultClientId()))
    .addOption(new Option("--session <name>", "which Python state").env("PYREPL3_SESSION").default("default"))
    .addOption(new Option("--token <jwt>", "bearer token, where the service asks for one").env("PYREPL3_TOKEN"));
}

/** Calls `work` with a client of the session, and closes it. */
export async function withClient<T>(options: SessionOptions, work: (client: Client) => Promise<T>): Promise<T> {
  const { url, clientId, session, token, onConnection } = options;
  const client = new Client({
    url,
    clientId,
    session,
    WebSocket,
    openTimeoutMs: OPEN_TIMEOUT_MS,
    ...(token === undefined ? {} : { token }),
    ...(onConnection === undefined ? {} : { onConnection }),
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
