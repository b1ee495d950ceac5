/** Owns the console: it joins the socket, the transcript, the editor and the buttons. */
import type { z } from "zod";
import type { TransactionPolicy } from "../protocol/client-message.ts";
import type { Checkpoint, ServerMessage } from "../protocol/server-message.ts";
import { BranchDialog, type BranchMade } from "./branch-dialog.ts";
import { showCheckpoints } from "./checkpoint-list.ts";
import { Connection, type ConnectionState } from "./connection.ts";
import { type Identity, newClientId } from "./identity.ts";
import { byId, element } from "./page.ts";
import { checkpointsOf, deleteCheckpoint, executionById, recentExecutions } from "./rest.ts";
import { SidePanels } from "./side-panels.ts";
import { Transcript } from "./transcript.ts";

const RECENT_EXECUTIONS = 30;
const NOTICE_MS = 8000;
const STATE_WORDS: Record<ConnectionState, string> = {
  connecting: "connecting",
  open: "connected",
  closed: "connection lost; trying again",
};
/** Session states that come often and are not worth a line on the page. */
const QUIET_STATES = ["starting", "ready", "busy"];

type Execute = Parameters<Connection["execute"]>[0];
type SessionData = Extract<ServerMessage, { type: "session" }>["data"];

export class Console {
  readonly #state = byId("state", HTMLParagraphElement);
  readonly #notices = byId("notices", HTMLDivElement);
  readonly #welcome = byId("welcome", HTMLParagraphElement);
  readonly #interrupt = byId("interrupt", HTMLButtonElement);
  readonly #transcript = new Transcript(byId("transcript", HTMLOListElement), (executionId, inputId, value) => {
    if (this.#connection?.send({ type: "input_response", input_id: inputId, value }) !== true) {
      this.notice(`The answer to ${executionId} could not be sent.`);
    }
  });
  readonly #running = new Set<string>();
  readonly #undo = byId("undo", HTMLButtonElement);
  readonly #side: SidePanels;
  readonly #branching = new BranchDialog((branch) => this.#branched(branch));
  readonly #openSession: (session: string) => void;
  #identity: Identity;
  /** Null while the page learns what the session did lately. */
  #connection: Connection | null = null;
  /** Code that was run in that time. */
  #unsent: Execute[] = [];
  /** Why the edge does not let this page in; it stands until a connection opens. */
  #refusal: string | null = null;

  /** @param openSession goes on in another session of the same client. */
  constructor(identity: Identity, openSession: (session: string) => void) {
    this.#identity = identity;
    this.#openSession = openSession;
    this.#side = new SidePanels(identity, (text) => this.notice(text));
  }

  /** Shows files and variables now, and again after each execution, while somebody looks at them. */
  showSide(isShown: boolean): void {
    this.#side.show(isShown);
  }

  /** Shows what this client's session did lately, and stays connected to it. */
  async connect(identity: Identity): Promise<void> {
    this.#connection?.close();
    this.#connection = null;
    this.#unsent = [];
    this.#state.dataset.state = "connecting";
    this.#state.textContent = STATE_WORDS.connecting;
    this.#identity = identity;
    this.#side.identity = identity;
    this.#transcript.clear();
    this.#running.clear();
    const recent = await recentExecutions(identity, RECENT_EXECUTIONS);
    if (identity !== this.#identity) return;
    let after = 0;
    if (recent.ok) {
      const executions = recent.value.executions.toReversed();
      for (const execution of executions) this.#transcript.start(execution.execution_id, execution.code);
      const first = executions.find((execution) => execution.first_seq !== null)?.first_seq;
      after = Math.max(0, (first ?? 1) - 1);
    }
    this.#refusal = null;
    this.#connection = new Connection({
      ...identity,
      after,
      message: (message) => this.#received(message),
      state: (state) => void this.#connectionIs(state),
    });
    for (const message of this.#unsent.splice(0)) this.#connection.execute(message);
    this.#welcome.hidden = !this.#transcript.isEmpty;
    await this.#refreshCheckpoints();
    this.#side.refresh();
  }

  run(code: string, policy: z.infer<typeof TransactionPolicy>, timeout: number): void {
    const id = newClientId();
    this.#welcome.hidden = true;
    this.#transcript.start(id, code);
    this.#setRunning(id, true);
    const message: Execute = { type: "execute", id, code, transaction_policy: policy, timeout, report_files: true };
    if (this.#connection === null) this.#unsent.push(message);
    else this.#connection.execute(message);
  }

  interrupt(): void {
    if (this.#connection?.send({ type: "interrupt" }) !== true) this.notice("Not connected.");
  }

  reset(): void {
    if (this.#connection?.send({ type: "reset" }) !== true) this.notice("Not connected.");
  }

  async checkpoint(): Promise<void> {
    const answer = await this.#connection?.request({ type: "checkpoint" });
    if (answer?.type !== "checkpoint_created") return;
    const { skipped } = answer.data;
    const left = skipped.length === 0 ? "" : ` Not saved: ${skipped.map((item) => item.name).join(", ")}.`;
    this.notice(`Checkpoint saved.${left}`);
    await this.#refreshCheckpoints();
  }

  /** Brings the variables back to what they were before the last execution. */
  async undo(): Promise<void> {
    this.#undo.disabled = true;
    const answer = await this.#connection?.request({ type: "undo" });
    this.#undo.disabled = false;
    if (answer === undefined || answer === null) this.notice("Not connected.");
    if (answer?.type !== "undone") return;
    const line = this.#transcript.firstLineOf(answer.data.execution_id);
    const which = line === null ? "the last execution" : `“${line}”`;
    this.#transcript.note(`Undone: the variables are as they were before ${which}. Files stay as they are.`);
    this.#side.refresh();
  }

  /** Asks for the name of a new session that begins with this one's variables and files. */
  branch(): void {
    this.#branching.open(this.#identity);
  }

  /** @returns names for the editor's cursor, or null where nobody answers. */
  async complete(code: string, cursor: number): Promise<{ matches: string[]; from: number } | null> {
    const answer = await this.#connection?.request({ type: "complete", code, cursor });
    return answer?.type === "completions" ? { matches: answer.data.matches, from: answer.data.cursor_start } : null;
  }

  /** Says something for a while. */
  notice(text: string): void {
    const notice = element("p", "", text);
    this.#notices.append(notice);
    setTimeout(() => notice.remove(), NOTICE_MS);
  }

  async #restore(checkpoint: z.infer<typeof Checkpoint>): Promise<void> {
    const answer = await this.#connection?.request({ type: "restore", checkpoint_id: checkpoint.checkpoint_id });
    if (answer?.type !== "restored") return;
    const { missing } = answer.data;
    const left = missing.length === 0 ? "" : ` Not brought back: ${missing.map((item) => item.name).join(", ")}.`;
    this.#transcript.note(
      `Back at ${checkpoint.name ?? `the checkpoint of ${new Date(checkpoint.created_at * 1000).toLocaleTimeString()}`}.${left}`,
    );
    this.#side.refresh();
  }

  #branched({ session, missing }: BranchMade): void {
    const left = missing.length === 0 ? "" : ` Not brought over: ${missing.map((item) => item.name).join(", ")}.`;
    this.#transcript.note(`The session ${session} begins with this state; both go on by themselves.${left}`, {
      label: `Open ${session}`,
      run: () => this.#openSession(session),
    });
  }

  async #refreshCheckpoints(): Promise<void> {
    const answer = await checkpointsOf(this.#identity);
    if (!answer.ok) return;
    showCheckpoints(
      byId("checkpoints", HTMLUListElement),
      byId("no-checkpoints", HTMLParagraphElement),
      answer.value.checkpoints,
      {
        restore: (checkpoint) => void this.#restore(checkpoint),
        remove: (checkpoint) => {
          void deleteCheckpoint(this.#identity, checkpoint.checkpoint_id).then((outcome) => {
            if (!outcome.ok) this.notice(outcome.detail);
            return this.#refreshCheckpoints();
          });
        },
      },
    );
  }

  async #connectionIs(state: ConnectionState): Promise<void> {
    if (state === "open") this.#refusal = null;
    this.#state.dataset.state = state;
    this.#state.textContent = this.#refusal ?? STATE_WORDS[state];
    if (state !== "closed" || this.#refusal !== null) return;
    // A browser does not say why a socket did not open; the same call over REST does.
    const identity = this.#identity;
    const asked = await recentExecutions(identity, 1);
    const isOver = identity !== this.#identity || this.#state.dataset.state === "open";
    if (asked.ok || asked.code === "unreachable" || isOver) return;
    this.#refusal = asked.detail;
    this.#state.textContent = asked.detail;
    this.notice(asked.detail);
  }

  #received(message: ServerMessage): void {
    switch (message.type) {
      case "output":
      case "display":
      case "clear_output":
      case "input":
      case "output_truncated":
      case "result":
      case "error":
      case "tool_call":
      case "tool_done": {
        const { execution_id: id } = message.data;
        this.#welcome.hidden = true;
        if (this.#transcript.add(message)) void this.#learnCode(id);
        const isOver = message.type === "result" || message.type === "error";
        if (isOver) this.#side.refresh();
        this.#setRunning(id, !isOver);
        return;
      }
      case "session":
        this.#sessionIs(message.data);
        return;
      case "gap":
        this.#transcript.note(`Events ${message.data.from} to ${message.data.to} are no longer kept.`);
        return;
      case "problem":
        if (message.id !== undefined && this.#transcript.refuse(message.id, message.data.detail)) {
          this.#setRunning(message.id, false);
          return;
        }
        this.notice(message.data.detail);
        return;
      case "attached":
      case "checkpoint_created":
      case "restored":
      case "cancelled":
      case "interrupted":
      case "completions":
      case "completeness":
      case "tools":
      case "variables":
      case "undone":
      case "branched":
      case "pong":
        return;
      default:
        message satisfies never;
    }
  }

  #sessionIs({ state, reason, missing }: SessionData): void {
    if (QUIET_STATES.includes(state)) return;
    const left =
      missing === undefined || missing.length === 0 ? "" : ` Missing: ${missing.map((item) => item.name).join(", ")}.`;
    this.#transcript.note(`Session ${state}${reason === "" ? "" : `: ${reason}`}.${left}`);
    if (state === "restored" || state === "reset") this.#side.refresh();
  }

  /** Another page of the same client ran this: its code is not in its events. */
  async #learnCode(executionId: string): Promise<void> {
    const execution = await executionById(this.#identity, executionId);
    if (execution.ok) this.#transcript.start(executionId, execution.value.code);
  }

  #setRunning(executionId: string, isRunning: boolean): void {
    if (isRunning) this.#running.add(executionId);
    else this.#running.delete(executionId);
    this.#interrupt.disabled = this.#running.size === 0;
  }
}
