import { FARTHEST } from "./number.js";

/**
 * What "spread" knows of others who spend from the same budget. All that shows of them is
 * that what remains falls by more than was sent.
 */
export class Share {
  /** How many requests of others there were for each of ours, smoothed. */
  others = 0;
  /** What the last answer said. */
  limit = 0;
  /** When the present view's first answer arrived. */
  began = 0;
  /** The earliest that an answer put the reset. */
  reset = 0;
  /** Nothing is sent before: see over. */
  resume = -Infinity;
  private seen = 0;
  private sent = 0;
  private mark: { seq: number; left: number } | undefined;

  /** Stretches the gap between two requests so that others have theirs between them. */
  scale(step: number): number {
    return Math.min(step * (1 + this.others), FARTHEST);
  }

  shared(): boolean {
    return this.others > 0.1;
  }

  /** How much of the budget is left alone, for the errors of those who share. */
  reserve(): number {
    return this.shared() ? Math.floor(this.limit / 100) : 0;
  }

  /**
   * When to be through with a window, if the budget is shared. Servers round a reset up, so
   * the budget is usually whole again a while before, and what is unspent then is lost: a
   * second before the earliest that an answer put it, or a tenth of a short window. Nothing
   * is sent from then on, as all of us have the same last moment.
   */
  early(reset: number): number {
    return this.shared() ? this.reset - Math.min(1, (this.reset - this.began) / 10) : reset;
  }

  /**
   * Notes a request. One that comes long after it could have been sent says nothing of how
   * the budget is shared: others were not waiting for us.
   */
  sending(now: number, late: number): void {
    if (now > late) this.mark = undefined;
    this.sent++;
  }

  /** Takes over what remained when nothing was in flight: all that was sent is counted in it. */
  measure(seq: number, left: number): void {
    const own = this.mark ? seq - this.mark.seq : 0;
    if (this.mark && own > 0) {
      this.seen = Math.min(this.seen + 1, 4); // the first measurement counts whole
      const others = Math.max((this.mark.left - left) / own - 1, 0);
      this.others += (others - this.others) / this.seen;
    }
    this.mark = { seq, left };
  }

  /** Notes that a view of the budget is over. */
  forget(): void {
    this.mark = undefined;
  }

  /**
   * Notes the end of a window. Who shares goes on at a random time within his own gap: all
   * of them know the same reset, and would come back together.
   */
  over(end: number): void {
    if (this.shared() && this.sent > 0) this.resume = end + (Math.random() * Math.max(end - this.began, 0)) / this.sent;
    this.sent = 0;
  }
}
