import { CODE_UNAVAILABLE, peek } from "./body.js";
import { clock } from "./clock.js";
import type { Outline, Settings, Why } from "./options.js";
import type { RateLimit } from "./ratelimit.js";

/** What is known after some attempts at one request. */
export interface Sighting {
  rateLimit: RateLimit;
  /** When the last attempt ended, by clock(). */
  arrived: number;
  /** The last answer, if there was one. */
  response: Response | undefined;
  refused: boolean;
  attempts: number;
}

/** A request, and whether its body can be had a second time. */
export interface Sendable extends Outline {
  replayable: boolean;
}

const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Serving the request twice is as good as once: by its method, or by a key that it carries. */
function idempotent(r: Outline): boolean {
  return IDEMPOTENT.has(r.method) || r.headers.has("idempotency-key") || r.headers.has("x-idempotency-key");
}

/** Says that an answer is one with which a limiter refuses. */
export function refuses(s: Settings, status: number, r: RateLimit): boolean {
  return status === 429 || status === 503 || (status === 403 && s.limit403 && r.retryAfter !== undefined);
}

/**
 * When to make the next attempt, by clock(), and why then; undefined if there is none. That
 * is what the server asks for, from the arrival of its answer, plus a random part. The
 * random part is not just a substitute for it: clients refused together are told the same
 * moment, and without it they would come back together.
 */
export async function next(s: Settings, request: Sendable, seen: Sighting, deadline: number): Promise<{ at: number; why: Why } | undefined> {
  const { seconds, why } = least(seen);
  let at = seen.arrived + seconds;
  // What cannot be in time is not waited for, and its body is not looked into.
  if (seen.attempts >= s.attempts || at >= deadline) return undefined;
  if (!(await repeatable(s, request, seen, deadline - at))) return undefined;
  at = Math.max(at, clock()); // looking into the body may have taken a while
  if (at >= deadline) return undefined;
  return { at: at + Math.random() * Math.min(ceiling(s, seen.attempts), deadline - at), why };
}

/** The upper end of the random wait after so many attempts. */
export function ceiling(s: Settings, attempts: number): number {
  return Math.min(s.backoff * 2 ** (attempts - 1), s.maxBackoff);
}

/** The wait that the server asks for: Retry-After, or the time to the reset of a spent budget. */
function least(seen: Sighting): { seconds: number; why: Why } {
  const { response, rateLimit: r } = seen;
  if (!response) return { seconds: 0, why: "connection" };
  if (r.retryAfter !== undefined) return { seconds: r.retryAfter, why: "retry-after" };
  if (response.status === 429 && r.resetAfter !== undefined && r.remaining === 0) return { seconds: r.resetAfter, why: "reset" };
  return { seconds: 0, why: "backoff" };
}

/**
 * Says whether this outcome allows this request to be sent once more. A 429 with any
 * method: a limiter refuses before the handler runs. A 503 with Retry-After if the request
 * is idempotent, or the body says that it is the limiter's.
 */
async function repeatable(s: Settings, request: Sendable, seen: Sighting, left: number): Promise<boolean> {
  if (!request.replayable) return false;
  if (!seen.response) return s.connections && idempotent(request);
  if (!seen.refused) return false;
  if (seen.response.status !== 503) return true;
  if (seen.rateLimit.retryAfter === undefined) return false;
  return idempotent(request) || (await peek(seen.response, left)).code === CODE_UNAVAILABLE;
}
