import type { RateLimit } from "./ratelimit.js";
import { FARTHEST } from "./number.js";
import { Share } from "./share.js";

/** How long a window's first answer is waited for before one more request goes ahead. */
const SCOUT_PATIENCE = 1;
/** How many answers in a row may be silent about a budget that has shown itself once. */
const SILENCE_MAX = 3;
/** How far apart two answers may put one and the same reset: whole seconds are rounded twice. */
const SLACK = 2;

/**
 * What the client believes of one budget: a state machine whose methods take the time, by
 * clock(), and do nothing else.
 *
 * Answers arrive in another order than the server wrote them, and say nothing of requests
 * that it had not seen yet. So within a window left only falls: to what an answer reports
 * less what is in flight, as if none of that were counted in it. That can be too little,
 * never too much. Whenever nothing is in flight, the least that was reported is the truth,
 * and left is put right.
 */
export class Budget {
  /** The longest that one answer is believed. */
  most = Infinity;
  readonly queue: { wake: () => void }[] = [];
  flying = 0;

  private phase: "unknown" | "free" | "known" = "unknown";
  private left = 0;
  private reset = 0;
  private blocked = -Infinity; // nothing is sent before: Retry-After
  private sent = -Infinity;
  private heard = -Infinity;
  private seq = 0;
  private learned = 0; // the last one sent when the present view arrived
  private lost = 0;
  private least = Infinity;
  private began = 0; // the last one sent before the present window
  private silent = 0;
  private shown = false;
  private readonly share = new Share();

  /** The time until one more request may be sent, 0 or less for now. */
  wait(now: number, spread: boolean): number {
    this.expire(now);
    if (now < this.blocked) return this.blocked - now;
    if (this.phase === "unknown") {
      if (spread && now < this.share.resume) return this.share.resume - now;
      return this.flying > 0 ? this.sent + SCOUT_PATIENCE - now : 0;
    }
    if (this.phase === "free") return 0;
    if (this.left <= 0) return this.end() - now;
    return spread ? Math.min(this.due(1, this.left), this.end()) - now : 0;
  }

  /** The time for which a request sent now would be denied. */
  denied(now: number): number {
    this.expire(now);
    if (now < this.blocked) return this.blocked - now;
    return this.phase === "known" && this.left <= 0 ? this.end() - now : 0;
  }

  /** The earliest that a request with so many ahead of it can hope for: the best view. */
  soonest(now: number, ahead: number, spread: boolean): number {
    this.expire(now);
    const wait = Math.max(this.blocked - now, 0);
    if (this.phase === "unknown" && spread) return Math.max(wait, this.share.resume - now);
    if (this.phase !== "known") return wait;
    const hope = Math.max(this.left, 0) + this.flying;
    if (ahead >= hope) return Math.max(wait, this.end() - now);
    return spread ? Math.max(wait, Math.min(this.due(ahead + 1, hope), this.end()) - now) : wait;
  }

  /** Says that the budget holds nothing worth keeping. */
  over(now: number): boolean {
    this.expire(now);
    return this.phase !== "known" && now >= this.blocked;
  }

  /** Counts a request as sent and returns its number. */
  send(now: number): number {
    this.expire(now); // before the number is given: it belongs to the new window
    if (this.flying === 0) {
      this.lost = 0;
      this.least = Infinity;
    }
    if (this.phase === "known") this.share.sending(now, this.due(2, this.left));
    this.flying++;
    this.left--;
    this.sent = now;
    return ++this.seq;
  }

  /** Takes over what the answer to request seq says. */
  answer(seq: number, r: RateLimit, refused: boolean, now: number): void {
    this.flying--;
    this.expire(now);
    if (refused && r.retryAfter !== undefined) {
      // Retry-After takes precedence over a reset: a token bucket has room long before it is full.
      this.blocked = Math.max(this.blocked, now + Math.min(r.retryAfter, this.most));
      this.begin();
    } else if (r.remaining !== undefined && r.resetAfter !== undefined) {
      this.share.limit = r.limit ?? 0;
      this.learn(seq, r.remaining, now, now + r.resetAfter);
    } else if (this.phase === "known" && r.remaining === undefined && r.limit === undefined) {
      this.left++; // by the contract an answer without headers was not counted
    } else {
      this.silence(seq);
    }
    this.settle();
  }

  /** Takes a request without an answer out of flight. It may have been counted. */
  lose(): void {
    this.flying--;
    this.lost++;
    this.settle();
  }

  /** Makes the head of the queue look again. */
  wake(): void {
    this.queue[0]?.wake();
  }

  /** When the present view is over: at the reset, or when no answer may be believed further. */
  private end(): number {
    return Math.min(this.reset, this.heard + this.most);
  }

  /** When the nth of left requests is sent if they are spread evenly until the reset. */
  private due(nth: number, left: number): number {
    const early = this.share.early(this.reset);
    const step = Math.max(early - this.sent, 0) / (Math.max(left - this.share.reserve(), 0) + 1);
    const at = this.sent + Math.min(this.share.scale(step) * nth, FARTHEST);
    return this.share.shared() && at >= early ? this.reset : at;
  }

  private expire(now: number): void {
    if (this.phase !== "known" || now < this.end()) return;
    this.share.over(this.end());
    this.begin();
  }

  /** Starts a window of which nothing is known. What is in flight will tell of the one before. */
  private begin(): void {
    this.phase = "unknown";
    this.began = this.seq;
    this.silent = 0;
    this.share.forget();
  }

  /** Notes that an answer tells nothing of the present window. */
  private silence(seq: number): void {
    if (this.phase !== "unknown" || seq <= this.began) return;
    if (++this.silent >= SILENCE_MAX || !this.shown) this.phase = "free";
  }

  /** Takes over a report of what remained until reset. */
  private learn(seq: number, remaining: number, now: number, reset: number): void {
    this.shown = true;
    if (reset <= now) {
      this.silence(seq);
      return;
    }
    if (this.phase === "unknown" && seq <= this.began) return;
    const apart = reset - this.reset;
    if (this.phase === "known" && Math.abs(apart) <= SLACK) {
      this.left = Math.min(this.left, remaining - this.flying);
      this.least = Math.min(this.least, remaining);
      this.reset = Math.max(this.reset, reset);
      this.share.reset = Math.min(this.share.reset, reset);
    } else if (this.phase !== "known" || apart > 0 || seq > this.learned) {
      // A window later than ours, or a newer view of a budget that refills. Newer is only
      // what was sent after our view had arrived.
      this.phase = "known";
      this.reset = reset;
      this.left = remaining - this.flying;
      this.least = remaining;
      this.lost = 0;
      this.share.began = now;
      this.share.reset = reset;
    } else {
      return; // from a window that is over, or overtaken
    }
    this.learned = this.seq;
    this.heard = now;
  }

  /** Puts left right when nothing is in flight, and wakes the head of the queue. */
  private settle(): void {
    if (this.flying === 0 && this.phase === "known" && this.least !== Infinity) {
      this.left = this.least - this.lost;
      this.share.measure(this.seq, this.least);
    }
    this.wake();
  }
}
