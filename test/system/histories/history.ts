/** Owns what a client saw of its session, and the judgement: one ending each, seqs in order, nothing run twice, state as the model says. */
import type { Frame } from "../../support/socket-client.ts";

/** One execution as its client knows it. */
export interface Attempt {
  id: string;
  number: number;
  /** The service refused to take it; it must not have run. */
  isRefused: boolean;
}

export interface History {
  clientId: string;
  attempts: Attempt[];
  /** Every event in the order in which it came, over all sockets. */
  live: Frame[];
  /** Executions that the service named as lost, in whatever message. */
  lost: Set<string>;
  /** The events that the journal has at the end. */
  replayed: Frame[];
  /** The numbers that the session's state holds at the end. */
  state: number[];
}

const isEnding = (frame: Frame) => frame.type === "result" || frame.type === "error";
/** An ending by which the service says that the execution's effect is lost. */
const TOLD = new Set(["runner_lost", "process_died"]);

/** The code of execution `number`: it prints a word that no other run has, and notes its number in the session's state. */
export function codeOf(number: number, seconds: number, dies: boolean): string {
  return [
    "import uuid, time, os",
    "nonce = uuid.uuid4().hex",
    "print('begin', nonce, flush=True)",
    "history = globals().get('history', [])",
    `history.append(${number})`,
    ...(seconds > 0 ? [`time.sleep(${seconds})`] : []),
    ...(dies ? ["os._exit(1)"] : []),
    "print('end', nonce, flush=True)",
    "nonce",
  ].join("\n");
}

/** Notes the executions that a message names as lost. */
export function noteLost(frame: Frame, lost: Set<string>): void {
  const named = [...(frame.data?.lost_executions ?? []), ...(frame.data?.restored?.lost_executions ?? [])];
  for (const id of named) lost.add(id as string);
}

/** What is wrong with a history; empty if nothing is. */
export function judge(history: History): string[] {
  const faults: string[] = [];
  const say = (text: string) => faults.push(`${history.clientId}: ${text}`);
  const ofExecution = Map.groupBy(history.replayed, (frame) => frame.data.execution_id as string);

  let before = 0;
  for (const frame of history.live) {
    if ((frame.seq ?? 0) <= before) say(`seq ${frame.seq} came after ${before}`);
    before = Math.max(before, frame.seq ?? 0);
  }
  const live = new Set(history.live.map((frame) => frame.seq));
  const kept = new Set(history.replayed.map((frame) => frame.seq));
  const unseen = history.replayed.filter((frame) => !live.has(frame.seq));
  // The edge writes output a quarter of a second after it was sent. If the runner is lost together with the edge, nobody has it.
  const isLost = (id: string) => ofExecution.get(id)?.at(-1)?.data.reason === "runner_lost";
  const unkept = history.live.filter(
    (frame) => !kept.has(frame.seq) && (isEnding(frame) || !isLost(frame.data.execution_id)),
  );
  if (unseen.length > 0 || unkept.length > 0) {
    say(`the journal has events that never came: ${show(unseen)}; or events came that it lacks: ${show(unkept)}`);
  }

  const expected: number[] = [];
  for (const { id, number, isRefused } of history.attempts) {
    const events = ofExecution.get(id) ?? [];
    const endings = events.filter(isEnding);
    if (isRefused) {
      if (events.length > 0) say(`${id} was refused and has events: ${show(events)}`);
      continue;
    }
    const [ending] = endings;
    if (ending === undefined || endings.length > 1) say(`${id} has ${endings.length} endings: ${show(events)}`);
    if (ending !== undefined && events.at(-1) !== ending) say(`${id} has events after its ending: ${show(events)}`);
    const text = events.map((frame) => (frame.type === "output" ? frame.data.data : "")).join("");
    const nonces = new Set([...text.matchAll(/(?:begin|end) ([0-9a-f]{32})/g)].map((match) => match[1]));
    if (nonces.size > 1) say(`${id} ran ${nonces.size} times`);
    if (ending?.type === "result") {
      if (!nonces.has(ending.data.value)) say(`${id} has a result of another run, or lost its output: ${text}`);
      if (!/^begin \w+\nend \w+\n$/.test(text)) say(`${id} lacks output: ${JSON.stringify(text)}`);
      if (!history.lost.has(id)) expected.push(number);
    } else if (ending !== undefined && !TOLD.has(ending.data.reason)) {
      say(`${id} ended with ${ending.data.reason}: ${ending.data.exception_message}`);
    }
  }
  if (expected.join() !== history.state.join()) {
    const [missing, extra] = [without(expected, history.state), without(history.state, expected)];
    say(`the state lacks ${missing} and has ${extra} beside what was told; state ${history.state}`);
  }
  return faults;
}

const without = (all: number[], some: number[]) => JSON.stringify(all.filter((one) => !some.includes(one)));

function show(frames: Frame[]): string {
  return JSON.stringify(
    frames.slice(0, 8).map((frame) => [frame.seq, frame.type, frame.data.execution_id, frame.data.reason]),
  );
}
