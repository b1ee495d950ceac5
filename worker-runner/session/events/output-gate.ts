/** Owns whether Python's output is read. Any holder can stop the reading for a while. */

export class OutputGate {
  readonly #holders = new Set<object>();
  readonly #onChange: (isHeld: boolean) => void;

  constructor(onChange: (isHeld: boolean) => void) {
    this.#onChange = onChange;
  }

  get isHeld(): boolean {
    return this.#holders.size > 0;
  }

  hold(holder: object): void {
    const wasHeld = this.isHeld;
    this.#holders.add(holder);
    if (!wasHeld) this.#onChange(true);
  }

  release(holder: object): void {
    if (this.#holders.delete(holder) && !this.isHeld) this.#onChange(false);
  }
}
