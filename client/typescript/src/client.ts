import { BODY_TIME_MAX, CODE_UNAVAILABLE, drain, peek } from "./body.js";
import { clock, wait } from "./clock.js";
import { RateLimitError } from "./error.js";
import { type Options, type Settings, settings } from "./options.js";
import { FREE, type Pass, Pacer } from "./pace.js";
import { parseRateLimit, type RateLimit } from "./ratelimit.js";
import { next, refuses, type Sendable, type Sighting } from "./retry.js";
import { clip } from "./text.js";

/** How long the rest of a body may take where a caller waits, in seconds. */
const DRAIN_TIME = 0.1;

/** Ends the problem type that the IETF draft gives to a 503 for lack of capacity. */
const TYPE_REDUCED = "#temporary-reduced-capacity";

/**
 * A fetch that understands rate limits, and shows what the last answer said. One call
 *
 * 1. waits, if asked to pace itself, until the budget it knows of has room;
 * 2. sends the request;
 * 3. reads the answer's rate-limit headers and keeps them for lastRateLimit;
 * 4. if the answer is a refusal that may be repeated, waits at least Retry-After and goes
 *    back to 1, within a bounded number of attempts and a bounded time;
 * 5. returns the last answer, or on request throws a RateLimitError in its place.
 *
 * Only a request whose body can be had again is repeated: none, or a string, a buffer, a
 * Blob, FormData or URLSearchParams given in init. A stream, and the body of a Request, can
 * be sent once.
 */
export class Client {
  private readonly settings: Settings;
  private readonly pacer = new Pacer();
  private last: RateLimit = {};

  constructor(options: Options = {}) {
    this.settings = settings(options);
  }

  /** What the headers of the last answer said; all of it is unknown before the first. */
  get lastRateLimit(): RateLimit {
    return this.last;
  }

  /** Sends a request as the global fetch does. It is bound: it can be passed on by itself. */
  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const s = this.settings;
    const request = outline(input, init);
    const signal = init?.signal ?? asRequest(input)?.signal;
    const deadline = clock() + s.total;
    const seen: Sighting = { rateLimit: {}, arrived: 0, response: undefined, refused: false, attempts: 0 };
    for (;;) {
      const pass = await this.admit(request, deadline, signal);
      if (typeof pass === "number") throw heldBack(seen, pass);
      const failure = await this.attempt(input, init, pass, seen);
      if (failure && signal?.aborted) throw failure.error;
      const repeat = await next(s, request, seen, deadline);
      if (!repeat) {
        if (failure) throw failure.error;
        return await this.final(seen);
      }
      const now = clock();
      s.onWait?.(repeat.at - now, repeat.why);
      // Read while the wait runs, and not beforehand: a body that trickles is cut off in time.
      const grace = Math.max(repeat.at - now, Math.min(DRAIN_TIME, deadline - now));
      const drained = seen.response && drain(seen.response, Math.min(grace, BODY_TIME_MAX));
      await wait(repeat.at, signal);
      await drained;
    }
  };

  private async admit(request: Sendable, deadline: number, signal?: AbortSignal | null): Promise<Pass | number> {
    const s = this.settings;
    if (s.pace === "off") return FREE;
    return await this.pacer.admit(`${request.url.host} ${s.route?.(request) ?? ""}`, s, deadline, signal);
  }

  /** Sends the request once and takes over the outcome; returns the failure to get an answer. */
  private async attempt(input: RequestInfo | URL, init: RequestInit | undefined, pass: Pass, seen: Sighting): Promise<{ error: unknown } | undefined> {
    seen.attempts++;
    try {
      seen.response = await (this.settings.fetch ?? globalThis.fetch)(input, init);
    } catch (error) {
      pass.lose();
      Object.assign(seen, { response: undefined, rateLimit: {}, refused: false, arrived: clock() });
      return { error };
    }
    seen.arrived = clock();
    seen.rateLimit = parseRateLimit(seen.response.headers);
    seen.refused = refuses(this.settings, seen.response.status, seen.rateLimit);
    pass.answer(seen.rateLimit, seen.refused, seen.arrived);
    this.last = seen.rateLimit;
    return undefined;
  }

  /** What the caller gets: the answer, or the error that he asked for. */
  private async final(seen: Sighting): Promise<Response> {
    const { response } = seen;
    if (!response) throw new Error("weir: no answer and no error"); // attempt leaves one of them
    if (!this.settings.errorOnLimit || !seen.refused) return response;
    const body = await peek(response, BODY_TIME_MAX);
    const limiter = body.code === CODE_UNAVAILABLE || body.type.endsWith(TYPE_REDUCED);
    if (response.status === 503 && !limiter) return response;
    void drain(response, DRAIN_TIME);
    throw new RateLimitError({
      rateLimit: seen.rateLimit,
      statusCode: response.status,
      attempts: seen.attempts,
      code: body.code,
      requestId: body.requestId || clip(response.headers.get("x-request-id") ?? ""),
      serverMessage: body.message || body.detail || body.title,
    });
  }
}

/** The error of a request that pacing does not let out in time. */
function heldBack(seen: Sighting, seconds: number): RateLimitError {
  return new RateLimitError({
    rateLimit: { ...seen.rateLimit, retryAfter: seconds },
    statusCode: seen.response?.status ?? 0,
    attempts: seen.attempts,
  });
}

/** Reads what there is to know of a request without touching its body. */
function outline(input: RequestInfo | URL, init?: RequestInit): Sendable {
  const request = asRequest(input);
  return {
    url: address(request?.url ?? (input as string | URL).toString()),
    method: (init?.method ?? request?.method ?? "GET").toUpperCase(),
    headers: new Headers(init?.headers ?? request?.headers),
    replayable: init?.body != null ? replayable(init.body) : !request?.body,
  };
}

/** A Request, of whatever realm or library: what makes it one are its parts. */
function asRequest(input: RequestInfo | URL): Request | undefined {
  return typeof input === "object" && "url" in input && "method" in input ? input : undefined;
}

/** The URL that is asked; in a browser it may be relative to the page. */
function address(url: string): URL {
  const base = (globalThis as { location?: { href?: string } }).location?.href;
  return URL.canParse(url, base) ? new URL(url, base) : new URL("about:blank"); // fetch will say what is wrong
}

/** Says that a body can be had a second time. */
function replayable(body: unknown): boolean {
  return (
    typeof body === "string" ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body) ||
    body instanceof Blob ||
    body instanceof FormData ||
    body instanceof URLSearchParams
  );
}

/** Returns a fetch that understands rate limits: that of a Client with these options. */
export function weirFetch(options: Options = {}): typeof globalThis.fetch {
  return new Client(options).fetch;
}
