import { clock, wait } from "./clock.js";
import { clip } from "./text.js";

/** How much of a refusal's body is understood, how much is read over to free its connection. */
const BODY_MAX = 8 << 10;
const DRAIN_MAX = 64 << 10;
/** How long a body may take where it is needed, in seconds. */
export const BODY_TIME_MAX = 5;
/** How deep a refusal may be nested: it is flat. */
const DEPTH_MAX = 32;

/** The code that a 503 of weir's limiter has in its body. */
export const CODE_UNAVAILABLE = "RATE_LIMIT_UNAVAILABLE";
/** The code that a 429 of weir's limiter has in its body. */
export const CODE_EXCEEDED = "RATE_LIMIT_EXCEEDED";

/** The body of a refusal: the contract's fields and those of RFC 9457, "" if absent. */
export interface Refusal {
  code: string;
  requestId: string;
  message: string;
  type: string;
  detail: string;
  title: string;
}

/**
 * Reads up to so many bytes of a stream, for so many seconds at most, and then lets go of
 * it. Undefined means that it was longer, too slow or broken.
 */
async function head(body: ReadableStream<Uint8Array>, most: number, seconds: number): Promise<Uint8Array | undefined> {
  const reader = body.getReader();
  const until = clock() + seconds;
  const chunks: Uint8Array[] = [];
  let size = 0;
  const all = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return true;
      size += value.length;
      if (size > most) return false;
      chunks.push(value);
    }
  })().catch(() => false);
  const read = { whole: false };
  await wait(until, null, all.then((v) => (read.whole = v)));
  if (!read.whole) {
    // Not waited for: a stream may take its time to stop, or never do.
    reader.cancel().catch(() => undefined);
    return undefined;
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Reads what is left of a body, so that its connection can be used again, within bounds. */
export async function drain(response: Response, seconds: number): Promise<void> {
  if (response.body && !response.bodyUsed && !response.body.locked) await head(response.body, DRAIN_MAX, seconds);
}

/** Reads an answer's body if it is JSON, from a copy: the answer itself stays unread. */
export async function peek(response: Response, seconds: number): Promise<Refusal> {
  const none = { code: "", requestId: "", message: "", type: "", detail: "", title: "" };
  if (!isJSON(response.headers.get("content-type") ?? "") || Number(response.headers.get("content-length")) > BODY_MAX) {
    return none;
  }
  if (!response.body || response.bodyUsed) return none;
  const body = response.clone().body;
  const bytes = body && (await head(body, BODY_MAX, Math.min(seconds, BODY_TIME_MAX)));
  return bytes ? { ...none, ...parseRefusal(new TextDecoder().decode(bytes)) } : none;
}

/** Accepts application/json, application/problem+json and their kind. */
function isJSON(contentType: string): boolean {
  const type = contentType.slice(0, 256).split(";")[0]?.trim().toLowerCase() ?? "";
  return contentType.length <= 256 && (type === "application/json" || /^[^/\s]+\/[^/\s]+\+json$/.test(type));
}

/** Reads as much as there is of a refusal. Fields that are no strings are left out. */
function parseRefusal(text: string): Partial<Refusal> {
  if (deeper(text, DEPTH_MAX)) return {};
  let v: unknown;
  try {
    v = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof v !== "object" || v === null || Array.isArray(v)) return {};
  const out: Partial<Refusal> = {};
  for (const key of ["code", "requestId", "message", "type", "detail", "title"] as const) {
    const value: unknown = Object.hasOwn(v, key) ? (v as Record<string, unknown>)[key] : undefined;
    if (typeof value === "string") out[key] = clip(value);
  }
  return out;
}

/** Says that brackets are nested deeper than most, without parsing. */
function deeper(text: string, most: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') quoted = !quoted;
    else if (quoted) i += c === "\\" ? 1 : 0;
    else if (c === "[" || c === "{") {
      if (++depth > most) return true;
    } else if (c === "]" || c === "}") depth--;
  }
  return false;
}
