// The other side of the channel, played by the test: a keeper, live processes and snapshots that say what the script says.
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { encodeFrame, encodeMessage, FrameKind, FrameParser } from "../../worker-runner/channel/framing.ts";
import {
  CHANNEL_SOCKET_NAME,
  type Sandbox,
  type SandboxExit,
  type StartSandbox,
} from "../../worker-runner/sandbox/sandbox-contract.ts";

interface Order {
  type: string;
  id?: string;
  token?: string;
  execution_id?: string;
  keep?: number[];
  pid?: number;
  [field: string]: unknown;
}

/** One process of the far side. */
export class ScriptedProcess {
  readonly pid: number;
  readonly socket: Socket;
  #offset = 0;

  constructor(path: string, pid: number, hello: object, obey: (order: Order) => void) {
    this.pid = pid;
    this.socket = connect(path);
    this.socket.on("error", () => this.socket.destroy());
    const parser = new FrameParser((kind, payload) => {
      if (kind === FrameKind.json) obey(JSON.parse(payload.toString()) as Order);
    });
    this.socket.on("data", (chunk: Buffer) => parser.push(chunk));
    this.say({ type: "hello", pid, ...hello });
  }

  say(message: object): void {
    this.socket.write(encodeMessage(message));
  }

  print(text: string, offset: number = this.#offset): void {
    const payload = Buffer.alloc(9);
    payload.writeUInt32LE(offset, 0);
    payload[8] = 1;
    const bytes = Buffer.from(text);
    this.#offset = offset + bytes.length;
    this.sendFrame(FrameKind.output, Buffer.concat([payload, bytes]));
  }

  sendFrame(kind: number, payload: Buffer): void {
    this.socket.write(encodeFrame(kind, payload));
  }

  finish(executionId: string, fields: object = {}): void {
    this.say({ type: "result", execution_id: executionId, value: null, repr: null, execution_time: 0.001, ...fields });
  }
}

export interface Script {
  /** What a live process does with code; `far.live` is the process. */
  execute(live: ScriptedProcess, executionId: string, code: string, far: FarSide): void;
  /** What the keeper does with a signal, beside saying that it was delivered. */
  signal?(live: ScriptedProcess | null, signal: number, far: FarSide): void;
  /** So many signals do not wake a copy. */
  deafCopies?: number;
  /** False: the keeper answers no sweep. */
  sweeps?: boolean;
}

/** Everything of one sandbox on the far side. */
export class FarSide {
  readonly #path: string;
  readonly #script: Script;
  readonly #end: (exit: SandboxExit) => void;
  #lastPid = 1;
  #ignored = 0;
  /** Tokens of the copies that sleep, by pid. */
  readonly #asleep = new Map<number, string>();
  keeper: ScriptedProcess | null = null;
  live: ScriptedProcess | null = null;

  constructor(path: string, script: Script, end: (exit: SandboxExit) => void) {
    this.#path = path;
    this.#script = script;
    this.#end = end;
  }

  begin(token: string): void {
    const python = { version: "3.11.2", implementation: "cpython", serializer: "source", cloudpickle: null };
    this.keeper = new ScriptedProcess(this.#path, 1, { role: "keeper", token, python }, (order) => this.#keep(order));
  }

  /** The live process is gone; `leftover` is what it had not sent. */
  endLive(code: number | null, signal: number | null, leftover: { offset: number; text: string } | null = null): void {
    const { live } = this;
    if (!live) return;
    this.live = null;
    live.socket.end();
    if (leftover) this.keeper?.print(leftover.text, leftover.offset);
    this.keeper?.say({ type: "exited", pid: live.pid, code, signal, begun: Number.MAX_SAFE_INTEGER });
  }

  /** All of it is gone. */
  end(): void {
    this.live?.socket.destroy();
    this.keeper?.socket.destroy();
    this.#end({ code: null, signal: "SIGKILL" });
  }

  #keep(order: Order): void {
    if (order.type === "spawn") this.#spawn(order.token ?? "");
    if (order.type === "signal") {
      this.keeper?.say({ type: "signalled", id: order.id, delivered: true });
      const asleep = this.#asleep.get(order.pid ?? 0);
      if (asleep !== undefined && this.#ignored < (this.#script.deafCopies ?? 0)) this.#ignored += 1;
      else if (asleep === undefined) this.#script.signal?.(this.live, Number(order.signal), this);
      else this.#wake(order.pid ?? 0, asleep);
    }
    if (order.type === "sweep" && this.#script.sweeps !== false) {
      this.endLive(null, 9);
      this.keeper?.say({ type: "swept", id: order.id, killed: 1 });
    }
  }

  #spawn(token: string, snapshotPid?: number): void {
    this.#lastPid += 1;
    const hello = { role: "live", token, snapshot_pid: snapshotPid };
    const live: ScriptedProcess = new ScriptedProcess(this.#path, this.#lastPid, hello, (order) => {
      if (order.type === "execute") this.#script.execute(live, order.execution_id ?? "", String(order.code), this);
      if (order.type === "snapshot") this.#freeze(live, order);
      if (order.type === "reap") live.say({ type: "reaped", id: order.id, pids: [] });
    });
    this.live = live;
  }

  #freeze(live: ScriptedProcess, order: Order): void {
    this.#lastPid += 1;
    const pid = this.#lastPid;
    this.#asleep.set(pid, order.token ?? "");
    live.say({ type: "snapshot_taken", id: order.id, pid, ended: [], threads: [], pause: 0.001 });
  }

  /** A copy connects; told to spawn, it becomes live and leaves a copy of itself. */
  #wake(pid: number, token: string): void {
    this.#asleep.delete(pid);
    const awake = new ScriptedProcess(this.#path, pid, { role: "snapshot", token }, (order) => {
      if (order.type !== "spawn") return;
      awake.socket.end();
      this.#lastPid += 1;
      this.#asleep.set(this.#lastPid, String(order.snapshot_token));
      this.#spawn(order.token ?? "", this.#lastPid);
    });
  }
}

/** A way to start sandboxes that are nothing but a script. */
export function scriptedSandbox(script: Script): StartSandbox {
  return async ({ channelDirectory }) => {
    let end: (exit: SandboxExit) => void = () => undefined;
    const exited = new Promise<SandboxExit>((resolve) => {
      end = resolve;
    });
    const channelPath = join(channelDirectory, CHANNEL_SOCKET_NAME);
    const far = new FarSide(channelPath, script, end);
    const stdin = new PassThrough();
    stdin.once("data", (line: Buffer) => far.begin(line.toString().trim()));
    const sandbox: Sandbox = {
      pid: 0,
      channelPath,
      isPidOne: true,
      stdin,
      stderr: new PassThrough(),
      exited,
      memoryStatus: async () => ({ residentBytes: null, limitedBytes: null, limitBytes: null, oomKills: null }),
      kill: async () => far.end(),
    };
    return sandbox;
  };
}
