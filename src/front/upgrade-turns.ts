/** Owns how many sockets one client opens at the same moment: a few at a time, some wait, and the rest are refused at little cost. */
import { sleep } from "../deadline.ts";
import { ProblemError } from "../problem.ts";

/** Each takes the object several steps, so more at once would hold up the other clients of this process. */
const MAX_OPENING = 4;
/** A place is free again after this time: work for a caller who has gone away is not finished. */
const PLACE_MS = 3000;
const LOOK_EVERY_MS = 10;

/** Who has a place, and until when. */
type Places = Map<symbol, number>;

interface Turns {
  opening: Places;
  waiting: Places;
}

const turnsByEnv = new WeakMap<object, Map<string, Turns>>();

function turnsOf(env: object, client: string): Turns {
  let ofEnv = turnsByEnv.get(env);
  if (ofEnv === undefined) {
    ofEnv = new Map();
    turnsByEnv.set(env, ofEnv);
  }
  let turns = ofEnv.get(client);
  if (turns === undefined) {
    turns = { opening: new Map(), waiting: new Map() };
    ofEnv.set(client, turns);
  }
  return turns;
}

/** Places that are taken now. */
function count(places: Places): number {
  for (const [who, untilMs] of places) if (untilMs <= Date.now()) places.delete(who);
  return places.size;
}

/**
 * Opens a socket in the client's turn.
 *
 * @param client its object's id.
 * @param max how many sockets a client has; as many may wait.
 * @throws ProblemError (as a rejection) `rate_limited` if more of this client wait already.
 */
export async function openInTurn<T>(env: object, client: string, max: number, open: () => Promise<T>): Promise<T> {
  const turns = turnsOf(env, client);
  const who = Symbol("an upgrade");
  try {
    if (count(turns.opening) >= MAX_OPENING) await wait(turns, who, max);
    turns.opening.set(who, Date.now() + PLACE_MS);
    return await open();
  } finally {
    turns.waiting.delete(who);
    turns.opening.delete(who);
    if (count(turns.opening) + count(turns.waiting) === 0) turnsByEnv.get(env)?.delete(client);
  }
}

async function wait({ opening, waiting }: Turns, who: symbol, max: number): Promise<void> {
  const untilMs = Date.now() + PLACE_MS;
  const isRefused = count(waiting) >= max;
  if (!isRefused) waiting.set(who, untilMs);
  while (!isRefused && Date.now() < untilMs) {
    await sleep(LOOK_EVERY_MS);
    if (count(opening) < MAX_OPENING) {
      waiting.delete(who);
      return;
    }
  }
  const detail = `A client has at most ${max} sockets, and as many are being opened.`;
  throw new ProblemError({ code: "rate_limited", detail, retryAfter: 5 });
}
