import { Budget } from "./budget.js";
import { clock, EPSILON, wait } from "./clock.js";
import type { Settings } from "./options.js";
import type { RateLimit } from "./ratelimit.js";

/** How many budgets are kept. More means that route makes up names; then the idle ones go. */
const BUDGETS_MAX = 1024;

/** The leave to send one request. Each one ends in answer or lose. */
export interface Pass {
  answer(r: RateLimit, refused: boolean, now: number): void;
  lose(): void;
}

function nothing(): void {
  // There is nobody to tell.
}

/** The leave of those who do not pace. */
export const FREE: Pass = { answer: nothing, lose: nothing };

/** Keeps the budgets of one client. */
export class Pacer {
  private readonly budgets = new Map<string, Budget>();

  /**
   * Waits until a request may be sent. If that would not be before the deadline, it returns
   * the seconds that would have been needed instead, above 0.
   */
  async admit(key: string, s: Settings, deadline: number, signal?: AbortSignal | null): Promise<Pass | number> {
    const now = clock();
    const b = this.find(key, now);
    if (!b) return FREE;
    b.most = s.paceMax;
    if (s.pace === "fail") {
      const held = b.denied(now);
      return held > EPSILON ? held : pass(b, now);
    }
    const spread = s.pace === "spread";
    if (b.queue.length === 0 && b.wait(now, spread) <= EPSILON) return pass(b, now);
    const soonest = b.soonest(now, b.queue.length, spread);
    if (now + soonest >= deadline) return Math.max(soonest, EPSILON);
    s.onWait?.(Math.max(soonest, b.wait(now, spread)), "pace");
    return await stand(b, spread, deadline, signal);
  }

  /** The budget of a key, a new one if need be; undefined if all there are are in use. */
  private find(key: string, now: number): Budget | undefined {
    let b = this.budgets.get(key);
    if (b || (this.budgets.size >= BUDGETS_MAX && !this.forget(now))) return b;
    b = new Budget();
    this.budgets.set(key, b);
    return b;
  }

  /** Drops idle budgets: all of those whose time is over, else any one. */
  private forget(now: number): boolean {
    const idle = [...this.budgets].filter(([, b]) => b.flying === 0 && b.queue.length === 0);
    const over = idle.filter(([, b]) => b.over(now));
    for (const [key] of over.length > 0 ? over : idle.slice(0, 1)) this.budgets.delete(key);
    return idle.length > 0;
  }
}

function pass(b: Budget, now: number): Pass {
  const seq = b.send(now);
  return {
    answer: (r, refused, at) => {
      b.answer(seq, r, refused, at);
    },
    lose: () => {
      b.lose();
    },
  };
}

/**
 * Waits in the queue of b. Only its head looks at the clock; the others sleep until they are
 * the head, or know that it will be too late.
 */
async function stand(b: Budget, spread: boolean, deadline: number, signal?: AbortSignal | null): Promise<Pass | number> {
  const me = { wake: nothing };
  b.queue.push(me);
  try {
    for (;;) {
      const now = clock();
      const left = deadline - now;
      let pause = left;
      if (b.queue[0] === me) {
        pause = b.wait(now, spread);
        if (pause <= EPSILON) return pass(b, now);
      }
      const soonest = b.soonest(now, b.queue.indexOf(me), spread);
      if (left <= 0 || soonest >= left) return Math.max(soonest, EPSILON);
      const woken = new Promise<void>((resolve) => (me.wake = resolve));
      await wait(now + Math.min(pause, left), signal, woken);
    }
  } finally {
    const i = b.queue.indexOf(me);
    b.queue.splice(i, 1);
    if (i === 0) b.wake();
  }
}
