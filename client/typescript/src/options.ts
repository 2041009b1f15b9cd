/** Why a request waits; see Options.onWait. */
export type Why =
  /** It was refused, and told when to come back. */
  | "retry-after"
  /** It was refused by a budget of which nothing is left until its reset. */
  | "reset"
  /** It was refused, and not told when to come back. */
  | "backoff"
  /** It got no answer. */
  | "connection"
  /** Pacing holds it back. How long is then an estimate. */
  | "pace";

/**
 * What to do with a request that would be denied, as far as the answers so far tell.
 *
 * - `off` sends everything at once.
 * - `fail` throws a RateLimitError for it, and never makes a request wait.
 * - `wait` holds it back until it would be admitted, in the order of arrival. One that could
 *   not be sent within `total` fails at once.
 * - `spread` is `wait`, and spreads what is left evenly over the time left. It is also the
 *   pace for clients that share a budget without knowing of each other: each sees by how
 *   much more than its own requests the budget shrinks, and takes its part.
 */
export type Pace = "off" | "fail" | "wait" | "spread";

/** The settings of a client. All durations are seconds. */
export interface Options {
  /** Sends the requests; the runtime's own fetch if absent. */
  fetch?: typeof globalThis.fetch;
  /** How often a request is sent at most; 4 if absent, 1 sends it once. */
  attempts?: number;
  /**
   * Bounds the time from the first attempt to the start of the last one, pacing and the
   * reading of refused answers included; 120 if absent. What would not fit is not waited for.
   */
  total?: number;
  /** The ceiling of the random wait before the second attempt, which doubles; 0.25 if absent. */
  backoff?: number;
  /** What that ceiling grows to; 10 if absent. It does not shorten what a server asks for. */
  maxBackoff?: number;
  /** Also repeats idempotent requests that got no answer: they may have been served, though. */
  connections?: boolean;
  /** Throws a RateLimitError in place of a final refusal. */
  errorOnLimit?: boolean;
  /** Takes a 403 with Retry-After for a refusal like a 429, as some services mean it. */
  limit403?: boolean;
  /** Whether to hold requests back; "off" if absent. */
  pace?: Pace;
  /** The longest that one answer can make the pacing hold requests back; 3600 if absent. */
  paceMax?: number;
  /**
   * Names the budget, within its host, that a request spends from; one per host if absent.
   * Needed for pacing where routes have limits of their own.
   */
  route?: (request: Outline) => string;
  /** Is called before each wait: how many seconds it will be, and why. */
  onWait?: (seconds: number, why: Why) => void;
}

/** What can be known of a request before it is sent, without touching its body. */
export interface Outline {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
}

/** Options with the defaults filled in. */
export type Settings = Required<Omit<Options, "fetch" | "route" | "onWait">> & Pick<Options, "fetch" | "route" | "onWait">;

const PACES = ["off", "fail", "wait", "spread"];

/** Fills in the defaults, and refuses what would not be a setting, with its name and value. */
export function settings(o: Options): Settings {
  const number = (name: "attempts" | "total" | "backoff" | "maxBackoff" | "paceMax", otherwise: number): number => {
    const v = o[name] ?? otherwise;
    if (typeof v !== "number" || !(v > 0)) throw new RangeError(`weir: ${name} is ${String(v)}, must be above 0`);
    return v;
  };
  const pace = o.pace ?? "off";
  if (!PACES.includes(pace)) throw new RangeError(`weir: pace is ${pace}, must be one of ${PACES.join(", ")}`);
  return {
    ...o,
    attempts: number("attempts", 4),
    total: number("total", 120),
    backoff: number("backoff", 0.25),
    maxBackoff: number("maxBackoff", 10),
    paceMax: number("paceMax", 3600),
    connections: o.connections ?? false,
    errorOnLimit: o.errorOnLimit ?? false,
    limit403: o.limit403 ?? false,
    pace,
  };
}
