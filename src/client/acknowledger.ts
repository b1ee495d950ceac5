/** Owns when events are acknowledged: often enough for the window never to stand still, and not while a consumer is behind. */

const AFTER_MS = 200;
/** Two acknowledgements at least are on their way within one window. */
const SHARES = 8;

export class Acknowledger {
  readonly #everyChars: number;
  readonly #send: () => boolean;
  #unacknowledgedChars = 0;
  #isHeld = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param send acknowledges everything so far; false: there is no connection. */
  constructor(windowBytes: number, send: () => boolean) {
    this.#everyChars = Math.max(1, Math.floor(windowBytes / SHARES));
    this.#send = send;
  }

  /** Notes that an event with this many characters came. */
  count(chars: number): void {
    this.#unacknowledgedChars += chars;
    if (this.#isHeld) return;
    if (this.#unacknowledgedChars >= this.#everyChars) this.#acknowledge();
    else this.#timer ??= setTimeout(() => this.#acknowledge(), AFTER_MS);
  }

  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.stop();
    else if (this.#unacknowledgedChars > 0) this.#acknowledge();
  }

  /** A new socket counts from nothing. */
  startOver(): void {
    this.stop();
    this.#unacknowledgedChars = 0;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #acknowledge(): void {
    this.stop();
    if (this.#send()) this.#unacknowledgedChars = 0;
  }
}
