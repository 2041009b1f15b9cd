import type { RateLimit } from "./ratelimit.js";

/** What a RateLimitError is made of. */
export interface RateLimitErrorParts {
  rateLimit: RateLimit;
  statusCode: number;
  attempts: number;
  code?: string;
  requestId?: string;
  serverMessage?: string;
}

/**
 * A request that a rate limit refused: finally (see Options.errorOnLimit), or before it was
 * sent, by the pacing. Values that are not known are undefined; durations are seconds.
 */
export class RateLimitError extends Error {
  override readonly name = "RateLimitError";
  /** How many requests the window allows. */
  readonly limit: number | undefined;
  /** How many of them are left. */
  readonly remaining: number | undefined;
  /** When the budget resets. */
  readonly reset: Date | undefined;
  /** The seconds to the reset. */
  readonly resetAfter: number | undefined;
  /** The seconds that the server asks to wait, or that pacing would have needed. */
  readonly retryAfter: number | undefined;
  /** All that the headers of the last answer say. */
  readonly rateLimit: RateLimit;
  /** The last answer's: 429, 503 or 403. 0 means that there was none: pacing held it back. */
  readonly statusCode: number;
  /** How often the request was sent. */
  readonly attempts: number;
  /** The code in the answer's body, such as RATE_LIMIT_EXCEEDED; "" if it has none. */
  readonly code: string;
  /** The request's id, from the body or X-Request-Id; "" if there is none. */
  readonly requestId: string;
  /** The message in the answer's body; "" if it has none. (`message` is the error's own.) */
  readonly serverMessage: string;

  constructor(p: RateLimitErrorParts) {
    super(describe(p));
    this.rateLimit = p.rateLimit;
    this.limit = p.rateLimit.limit;
    this.remaining = p.rateLimit.remaining;
    this.reset = p.rateLimit.reset;
    this.resetAfter = p.rateLimit.resetAfter;
    this.retryAfter = p.rateLimit.retryAfter;
    this.statusCode = p.statusCode;
    this.attempts = p.attempts;
    this.code = p.code ?? "";
    this.requestId = p.requestId ?? "";
    this.serverMessage = p.serverMessage ?? "";
  }
}

/** Says what happened on one line; texts from the server are quoted. */
function describe(p: RateLimitErrorParts): string {
  const r = p.rateLimit;
  if (p.statusCode === 0) return `weir: held back for ${String(r.retryAfter)} s by pacing, not sent`;
  const show = (v: number | undefined) => (v === undefined ? "unknown" : String(v));
  return [
    `weir: ${String(p.statusCode)}${p.serverMessage ? `: ${JSON.stringify(p.serverMessage)}` : ""}`,
    ...(p.code ? [`code ${JSON.stringify(p.code)}`] : []),
    ...(p.requestId ? [`request ${JSON.stringify(p.requestId)}`] : []),
    `attempts ${String(p.attempts)}`,
    `limit=${show(r.limit)} remaining=${show(r.remaining)} reset=${show(r.resetAfter)} retry-after=${show(r.retryAfter)}`,
  ].join(", ");
}
