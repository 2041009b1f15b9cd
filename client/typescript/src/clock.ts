/** A clock that only goes forward, in seconds: nobody's setting of the time moves a wait. */
export function clock(): number {
  return performance.now() / 1000;
}

/** The longest that setTimeout takes; beyond it runtimes fire at once. */
const TIMER_MAX = 2 ** 31 - 1;
/** Less than this is no wait: sums of fractions are not exact. */
export const EPSILON = 1e-9;

/** A timer that is never early. Runtimes' own are, by up to a millisecond, and take 24 days at most. */
export class Timer {
  readonly done: Promise<void>;
  private id: ReturnType<typeof setTimeout> | undefined;

  constructor(until: number) {
    this.done = new Promise((resolve) => {
      const look = () => {
        const left = until - clock();
        if (left <= EPSILON) resolve();
        else this.id = setTimeout(look, Math.min(Math.ceil(left * 1000 - 1e-6), TIMER_MAX));
      };
      look();
    });
  }

  stop(): void {
    clearTimeout(this.id);
  }
}

/** Waits until that time, until something else happens, or until the signal aborts, which rejects. */
export async function wait(until: number, signal?: AbortSignal | null, ...others: Promise<unknown>[]): Promise<void> {
  signal?.throwIfAborted();
  const timer = new Timer(until);
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", abort, { once: true });
  });
  try {
    await Promise.race([timer.done, aborted, ...others]);
  } finally {
    timer.stop();
    if (abort) signal?.removeEventListener("abort", abort);
  }
}
