/** Owns how the parts of one named session are wired together; each part does its own work. */

import type { ClientSocket } from "../clients/client-socket.ts";
import type { SessionRecord } from "../store/session-table.ts";
import { Checkpointing } from "./checkpointing.ts";
import type { ClientStores } from "./client-stores.ts";
import { EventIntake } from "./event-intake.ts";
import { IdleWatch } from "./idle.ts";
import { Incarnations } from "./incarnations.ts";
import { LinkEvents } from "./link-events.ts";
import { Loss } from "./loss.ts";
import { SessionContext } from "./session-context.ts";
import { SessionEnv } from "./session-env.ts";
import { Submissions } from "./submissions.ts";
import { Tools } from "./tools.ts";

/** How long a new socket's first message is waited for. */
const FIRST_MESSAGE_MS = 500;

export class NamedSession {
  readonly context: SessionContext;
  readonly incarnations: Incarnations;
  readonly submissions: Submissions;
  readonly tools: Tools;
  readonly env: SessionEnv;
  readonly intake: EventIntake;
  readonly checkpointing: Checkpointing;
  readonly idle: IdleWatch;
  readonly #loss: Loss;
  readonly #linkEvents: LinkEvents;

  constructor(stores: ClientStores, record: SessionRecord) {
    const context = new SessionContext(stores, record, () => this.#linkEvents.updateCredit());
    this.context = context;
    this.env = new SessionEnv(context);
    const { env } = this;
    this.incarnations = new Incarnations(context, {
      beforeOpen: () => env.load(),
      listener: () => this.#linkEvents,
      prepare: (link, incarnation) => this.#loss.prepare(link, incarnation),
      onLoss: (reason) => {
        this.#loss.onLoss(reason);
        this.#linkEvents.endBacklog();
      },
    });
    const { incarnations } = this;
    this.submissions = new Submissions(context, incarnations);
    const { submissions } = this;
    this.tools = new Tools(context, incarnations);
    const { tools } = this;
    this.intake = new EventIntake(context, incarnations, {
      onEvent: (event) => tools.noteEvent(event),
      onExecutionEnded: (id) => {
        context.touch();
        submissions.onEnded(id);
        this.idle.onWorkEnded();
        context.noteActivity();
      },
      onWaiting: (id) => submissions.onWaiting(id),
      onWritten: () => this.idle.schedule(),
    });
    const { intake } = this;
    this.checkpointing = new Checkpointing(context);
    const { checkpointing } = this;
    this.#loss = new Loss(context, { intake, submissions, checkpointing });
    const loss = this.#loss;
    this.idle = new IdleWatch(context, { incarnations, intake, checkpointing, loss, env });
    const { idle } = this;
    this.#linkEvents = new LinkEvents(
      context,
      { incarnations, intake, submissions, env },
      {
        onIdle: (link) => idle.onLinkIdle(link),
        onDrain: () => idle.onDrain(),
        onGiveWay: () => idle.onGiveWay(),
        onReady: (link, isNew) => {
          tools.onReady(link, isNew);
          idle.schedule();
        },
      },
    );
  }

  /**
   * Takes a new socket. Events that come before its first message wait a moment, because that message may be an `attach`
   * that wants earlier events first.
   */
  welcome(socket: ClientSocket): void {
    socket.hold();
    this.context.delivery.sockets.add(socket);
    setTimeout(() => this.release(socket), FIRST_MESSAGE_MS);
  }

  /** Lets events go to a socket that has sent its first message, or has not sent one in time. */
  release(socket: ClientSocket): void {
    if (socket.mode !== "holding" || socket.state.attaching !== null) return;
    socket.replay();
    this.context.delivery.pump(socket);
  }

  /** After hibernation: continues what was interrupted. */
  awaken(): void {
    const { delivery, record, stores, unfinishedCount } = this.context;
    if (unfinishedCount > 0 && (record.incarnation === null || record.phase === "starting")) this.#startOver();
    const isInterrupted = [...delivery.sockets].some((socket) => socket.mode !== "live");
    if (!isInterrupted && !record.isLinked) return;
    stores.inBackground(this.catchUp().then(() => delivery.pumpAll()));
  }

  /** The object ended before any runner had its work. */
  #startOver(): void {
    const { stores, unfinished, unsent } = this.context;
    for (const { executionId } of unfinished) unsent.add(executionId);
    stores.inBackground(this.incarnations.ensure());
  }

  /** Whether the runner may hold events that are not here. @param isAsked a client has already seen a later event. */
  needsCatchUp(isAsked = false): boolean {
    const { record, unfinishedCount } = this.context;
    if (this.#linkEvents.hasBacklog) return true;
    if (this.incarnations.ready !== null || record.incarnation === null) return false;
    return isAsked || record.isLinked || unfinishedCount > 0;
  }

  /** Fetches events that only the runner holds, after the object hibernated with a link open or with work unfinished. */
  async catchUp(isAsked = false): Promise<void> {
    if (!this.needsCatchUp(isAsked)) return;
    await this.incarnations.resume();
    await this.#linkEvents.backlogIsIn();
  }
}
