/** The most distant reset that is believed, in seconds: the longest window that weir has. */
export const FARTHEST = 366 * 24 * 3600;
/** What a longer Retry-After counts as: nobody waits that long. */
export const WAIT_MAX = 100 * FARTHEST;
/** How far in the past a reset may lie: clocks differ, answers dawdle. */
const LATEST = 24 * 3600;
/** How long a number or a date may be; what is longer counts as absent. */
export const VALUE_MAX = 256;
/** How long a structured field may be, all its lines together. */
export const LIST_MAX = 4096;

/** The headers of one answer: the value by a lower-case name, lines joined by ", ". */
export type Lookup = (name: string) => string | undefined;

/** Trims what HTTP allows around a value. */
function trim(s: string): string {
  let from = 0;
  let to = s.length;
  while (from < to && (s[from] === " " || s[from] === "\t")) from++;
  while (to > from && (s[to - 1] === " " || s[to - 1] === "\t")) to--;
  return s.slice(from, to);
}

/**
 * Returns the one value of a header. Of several equal values it is the one; values that
 * differ stay together, and mean nothing to whoever expects one.
 */
export function single(h: Lookup, name: string): string | undefined {
  const raw = h(name);
  if (raw === undefined || raw.length > VALUE_MAX) return undefined;
  const v = trim(raw);
  for (let i = v.indexOf(", "); i >= 0; i = v.indexOf(", ", i + 2)) {
    // Copies of the first i characters are what is left if the value moved by i + 2 is itself.
    const step = i + 2;
    if ((v.length + 2) % step === 0 && v.slice(step) === v.slice(0, v.length - step)) return v.slice(0, i);
  }
  return v;
}

/** Digits, and optionally a point and digits: no sign, no exponent, no space. */
const DECIMAL = /^([0-9]{1,15})(?:\.([0-9]+))?$/;

/** Reads a number of requests; a true fraction of one is nothing that can be sent. */
export function count(s: string): number | undefined {
  const m = DECIMAL.exec(s);
  return m && !/[1-9]/.test(m[2] ?? "") ? Number(m[1]) : undefined;
}

/** Reads seconds, 0 to FARTHEST. */
export function period(s: string): number | undefined {
  const m = DECIMAL.exec(s);
  if (!m) return undefined;
  const whole = Number(m[1]);
  // The border is decided without floats, in which a tiny fraction is lost.
  if (whole > FARTHEST || (whole === FARTHEST && /[1-9]/.test(m[2] ?? ""))) return undefined;
  return Number(s);
}

/** Reads seconds of any length: a long wait is a wait, not unknown. */
function patience(s: string): number | undefined {
  const m = /^([0-9]+)(\.[0-9]+)?$/.exec(s);
  return m ? Math.min(Number(s), WAIT_MAX) : undefined;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)";
const TIME = "(\\d\\d):(\\d\\d):(\\d\\d)";
const DAY = "(?:mon|tue|wed|thu|fri|sat|sun)";
const IMF = new RegExp(`^${DAY}, (\\d\\d) ${MONTH} (\\d{4}) ${TIME} gmt$`, "i");
const RFC850 = new RegExp(`^(?:mon|tues|wednes|thurs|fri|satur|sun)day, (\\d\\d)-${MONTH}-(\\d\\d) ${TIME} gmt$`, "i");
const ASCTIME = new RegExp(`^${DAY} ${MONTH} ([ \\d]\\d) ${TIME} (\\d{4})$`, "i");

/** Reads an HTTP-date in the three forms of RFC 9110, to the letter, as a Unix time. */
export function parseDate(s: string): number | undefined {
  let m = IMF.exec(s);
  if (m) return unix(Number(m[3]), m[2], m[1], m[4], m[5], m[6]);
  m = RFC850.exec(s);
  if (m) {
    const yy = Number(m[3]);
    return unix(yy + (yy >= 69 ? 1900 : 2000), m[2], m[1], m[4], m[5], m[6]);
  }
  m = ASCTIME.exec(s);
  return m ? unix(Number(m[6]), m[1], m[2], m[3], m[4], m[5]) : undefined;
}

function unix(year: number, month = "", ...rest: (string | undefined)[]): number | undefined {
  const [day = 0, hour = 0, minute = 0, second = 0] = rest.map(Number);
  const at = new Date(0);
  at.setUTCFullYear(year, MONTHS.indexOf(month.toLowerCase()), day);
  // Dates that do not exist roll over in JavaScript, so they come out as another day.
  if (at.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return undefined;
  return at.getTime() / 1000 + hour * 3600 + minute * 60 + second;
}

/** The time from now to at, not below 0, if at is anywhere near now. */
function until(at: number, now: number): number | undefined {
  const d = at - now;
  return d > FARTHEST || d < -LATEST ? undefined : Math.max(d, 0);
}

/**
 * The server's clock and ours, the one to believe first. That is the server's, unless the
 * two are more than a day apart: such a Date comes from a stale copy, or from a machine
 * without a clock, and is a second opinion at best.
 */
function clocks(h: Lookup, now: number): [number, number] {
  const date = parseDate(single(h, "date") ?? "");
  if (date === undefined) return [now, now];
  return Math.abs(date - now) > LATEST ? [now, date] : [date, now];
}

/** Reads a Unix time and says how long it is from now. */
export function instant(s: string, h: Lookup, now: number): { at: number; after: number } | undefined {
  if (!DECIMAL.test(s)) return undefined;
  const at = Number(s);
  for (const clock of clocks(h, now)) {
    const after = until(at, clock);
    if (after !== undefined) return { at, after };
  }
  return undefined;
}

/** Reads Retry-After: seconds, or a date, of which only the distance from the clock counts. */
export function retryAfter(h: Lookup, now: number): number | undefined {
  const v = single(h, "retry-after") ?? "";
  if (/^[0-9]/.test(v)) return patience(v);
  const at = parseDate(v);
  if (at === undefined) return undefined;
  const both = clocks(h, now);
  for (const clock of both) {
    const d = until(at, clock);
    if (d !== undefined) return d;
  }
  return Math.min(Math.max(at - both[0], 0), WAIT_MAX);
}
