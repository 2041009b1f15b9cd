/**
 * Time that passes only when nothing else happens. While it is installed, setTimeout, Date
 * and performance.now belong to it; each step fires the next timer.
 */
export class VirtualTime {
  private now = 0;
  private timers = new Map<number, { at: number; run: () => void }>();
  private id = 0;
  private settling = 0;
  private readonly saved = { setTimeout, clearTimeout, Date, now: performance.now.bind(performance) };

  constructor(readonly start: number) {
    const unix = () => this.unix();
    const RealDate = Date;
    class FakeDate extends RealDate {
      constructor(...args: [] | [number]) {
        super(...((args.length > 0 ? args : [unix() * 1000]) as [number]));
      }
      static override now(): number {
        return unix() * 1000;
      }
    }
    Object.assign(globalThis, {
      Date: FakeDate,
      setTimeout: (run: () => void, ms = 0) => this.add(run, ms),
      clearTimeout: (id: number) => this.timers.delete(id),
    });
    performance.now = () => this.now;
  }

  restore(): void {
    const { now, ...rest } = this.saved;
    Object.assign(globalThis, rest);
    performance.now = now;
  }

  /** Seconds since the start. */
  elapsed(): number {
    return this.now / 1000;
  }

  unix(): number {
    return this.start + this.now / 1000;
  }

  sleep(seconds: number): Promise<void> {
    return seconds > 0 ? new Promise((resolve) => this.add(resolve, seconds * 1000)) : Promise.resolve();
  }

  private add(run: () => void, ms: number): number {
    this.timers.set(++this.id, { at: this.now + Math.max(ms, 0), run });
    return this.id;
  }

  /** Lets everything happen that does not wait for time. No time passes meanwhile. */
  async settle(): Promise<void> {
    this.settling++;
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    this.settling--;
  }

  /** Runs until the promise is settled. */
  async run<T>(promise: Promise<T>): Promise<T> {
    const state = { over: false };
    const over = () => {
      state.over = true;
    };
    promise.then(over, over);
    for (;;) {
      do await this.settle();
      while (this.settling > 0);
      if (state.over) return promise;
      const next = [...this.timers].sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (!next) throw new Error("nothing happens any more, and the promise is not settled");
      this.timers.delete(next[0]);
      this.now = Math.max(this.now, next[1].at);
      next[1].run();
    }
  }
}
