import { count, instant, LIST_MAX, type Lookup, period, retryAfter, single } from "./number.js";
import { parseList, type Seen, structured } from "./structured.js";

/**
 * What the headers of one answer say about a budget. What is undefined is unknown: never a
 * guess. All durations are seconds.
 */
export interface RateLimit {
  /** How many requests the window allows. */
  readonly limit?: number;
  /** How many of them are left, never negative. */
  readonly remaining?: number;
  /** When the budget resets: by the server's clock if the header is a point in time. */
  readonly reset?: Date;
  /**
   * The seconds from the answer's arrival to the reset, never negative. They are measured
   * against the answer's Date if there is one, so that a wrong clock on either side does not
   * matter; then they are up to a second too long, never too short. (In a browser, Date can
   * be read only if the server exposes it.)
   */
  readonly resetAfter?: number;
  /** How many seconds the server asks to wait, never negative; at most 100 years. */
  readonly retryAfter?: number;
  /** The policy that the values belong to, where the dialect has names. */
  readonly policy?: string;
  /** When the answer arrived, by the local clock. */
  readonly received?: Date;
}

/** Spellings of the headers that tell limit, remaining and reset apart by name. */
const FAMILIES = ["x-ratelimit-", "x-rate-limit-", "ratelimit-"];
const CALL_LIMIT = "x-shopify-shop-api-call-limit";
const WANTED = new Set([
  ...FAMILIES.flatMap((f) => [`${f}limit`, `${f}remaining`, `${f}reset`, `${f}reset-after`]),
  ...["ratelimit", "ratelimit-policy", "retry-after", "date", "age", CALL_LIMIT],
]);

/**
 * Reads the rate-limit headers of an answer that arrived at now: the IETF fields (RateLimit
 * and RateLimit-Policy, all drafts), X-RateLimit-*, X-Rate-Limit-*, RateLimit-*, Shopify's
 * call limit, and Retry-After in seconds or as a date. Of several budgets the one with the
 * fewest requests left is taken whole. A header that contradicts itself is unknown, and so
 * is all but Retry-After on an answer out of a cache.
 */
export function parseRateLimit(headers: Headers | Iterable<readonly [string, string]>, now = new Date()): RateLimit {
  const h = lookup(headers);
  const at = now.getTime() / 1000;
  let best: Budget = {};
  if (!/[^0]/.test(single(h, "age") ?? "")) {
    const seen = [...structured(h).map((s) => timed(s, at)), ...FAMILIES.map((f) => family(f, h, at)), callLimit(h)];
    best = seen.reduce(tightest);
  }
  const wait = retryAfter(h, at);
  const { reset, ...rest } = best;
  return {
    ...rest,
    ...(reset !== undefined && { reset: new Date(reset * 1000) }),
    ...(wait !== undefined && { retryAfter: wait }),
    received: now,
  };
}

/** Headers by name; of pairs only those that are wanted, and not more than may be. */
function lookup(headers: Headers | Iterable<readonly [string, string]>): Lookup {
  // By what only Headers have: a Map has a get, too, but knows nothing of upper and lower case.
  if ("append" in headers) return (name) => headers.get(name) ?? undefined;
  const all = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.length < 40 ? name.toLowerCase() : "";
    const before = all.get(key);
    if (!WANTED.has(key) || (before?.length ?? 0) > LIST_MAX) continue;
    all.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return (name) => all.get(name);
}

/** What is seen of one budget, its reset as a Unix time. */
type Budget = Seen & { reset?: number };

function timed(s: Seen, now: number): Budget {
  return s.resetAfter === undefined ? s : { ...s, reset: now + s.resetAfter };
}

/** Reads the headers of one spelling. */
function family(prefix: string, h: Lookup, now: number): Budget {
  const limit = leading(single(h, `${prefix}limit`));
  const remaining = leading(single(h, `${prefix}remaining`));
  // A reset alone says nothing of a budget, and other things reset too.
  if (limit === undefined && remaining === undefined) return {};
  return {
    ...(limit !== undefined && { limit }),
    ...(remaining !== undefined && { remaining }),
    ...reset(prefix, h, now),
  };
}

/** A duration goes before a point in time: it needs nobody's clock. */
function reset(prefix: string, h: Lookup, now: number): Budget {
  const after = single(h, `${prefix}reset-after`);
  const either = single(h, `${prefix}reset`);
  const left = period(after ?? either ?? "");
  if (left !== undefined) return { resetAfter: left, reset: now + left };
  if (after !== undefined || either === undefined) return {};
  const point = instant(either, h, now);
  return point ? { resetAfter: point.after, reset: point.at } : {};
}

/**
 * Reads a number, or the first of a list as the older drafts have it: `100, 100;w=60`. In
 * such a list every number after the first has a window: `100, 200` is two answers run
 * together and so unknown.
 */
function leading(v: string | undefined): number | undefined {
  if (v === undefined || !/[;,]/.test(v)) return v === undefined ? undefined : count(v);
  const list = parseList(v) ?? [];
  const whole = list.every((p, i) => p.kind === "integer" && !p.bad && (i === 0 || p.w !== undefined));
  return whole ? list[0]?.number : undefined;
}

/** Shopify's: requests in the bucket, a slash, its size. There is no reset. */
function callLimit(h: Lookup): Budget {
  const parts = (single(h, CALL_LIMIT) ?? "").split("/");
  if (parts.length !== 2) return {};
  const [used, size] = parts.map(count);
  return used === undefined || size === undefined || used > size ? {} : { limit: size, remaining: size - used };
}

/** Whichever stops a client first, a if they are equal. The two are never mixed. */
function tightest(a: Budget, b: Budget): Budget {
  if ((a.remaining === undefined) !== (b.remaining === undefined)) return b.remaining !== undefined ? b : a;
  if (a.remaining !== b.remaining) return (b.remaining ?? 0) < (a.remaining ?? 0) ? b : a;
  if ((a.resetAfter === undefined) !== (b.resetAfter === undefined)) return b.resetAfter !== undefined ? b : a;
  const [left, right] = [a.resetAfter ?? 0, b.resetAfter ?? 0];
  return right > left || (right === left && b.limit !== undefined && a.limit === undefined) ? b : a;
}
