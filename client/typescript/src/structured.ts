import { LIST_MAX, type Lookup } from "./number.js";
import { clip } from "./text.js";

/** A bare item of RFC 9651, as far as the drafts care. */
interface Bare {
  kind: "integer" | "string" | "token" | "other";
  number: number;
  /** The text of a string is still escaped, which is enough to compare names. */
  text: string;
}

/** One member of RateLimit or RateLimit-Policy. */
export interface Policy extends Bare {
  q?: number;
  w?: number;
  r?: number;
  t?: number;
  unit: string;
  part: string;
  /** A parameter is not what it has to be. */
  bad: boolean;
}

/** How many policies one answer may list. */
const POLICIES_MAX = 32;

const KEY = /[a-z*][a-z0-9_\-.*]*/y;
const STRING = /"((?:[ !#-[\]-~]|\\["\\])*)"/y;
const NUMBER = /(-?)([0-9]{1,15})(?![0-9])(\.[0-9]*)?/y;
const TOKEN = /[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*/y;
const BYTES = /:[A-Za-z0-9+/=]*:/y;
const FLAG = /\?[01]/y;

/**
 * Reads a structured field (RFC 9651, section 4.2). Inner lists are refused: no member of
 * these fields may be one.
 */
export class Cursor {
  private i = 0;
  constructor(private readonly s: string) {}

  /** Goes to the first member and says if there is one. */
  first(): boolean {
    this.skip(" ");
    return this.i < this.s.length;
  }

  /** Goes over the comma to the next member and says if there is one. */
  next(): boolean {
    const start = this.i;
    this.skip(" \t");
    if (!this.take(",")) return false;
    this.skip(" \t");
    if (this.i < this.s.length) return true;
    this.i = start; // a trailing comma is left over, so done will say no
    return false;
  }

  /** Says that nothing but spaces is left. */
  done(): boolean {
    this.skip(" \t");
    return this.i === this.s.length;
  }

  key(): string {
    return this.match(KEY)?.[0] ?? "";
  }

  take(c: string): boolean {
    if (this.s[this.i] !== c) return false;
    this.i++;
    return true;
  }

  /** Reads a bare item and its parameters; undefined if they break the syntax. */
  item(): Policy | undefined {
    const bare = this.bare();
    if (!bare) return undefined;
    const p: Policy = { ...bare, unit: "", part: "", bad: false };
    while (this.take(";")) {
      this.skip(" ");
      const key = this.key();
      if (key === "") return undefined;
      let value: Bare | undefined = other("?1"); // a parameter without a value is true
      if (this.take("=")) value = this.bare();
      if (!value) return undefined;
      set(p, key, value);
    }
    return p;
  }

  private bare(): Bare | undefined {
    const c = this.s[this.i] ?? "";
    if (c === '"') return this.str();
    if (c === "-" || (c >= "0" && c <= "9")) return this.number();
    if (c === ":") return this.whole(BYTES);
    if (c === "?") return this.whole(FLAG);
    if (c === "@") {
      this.i++;
      const n = this.number();
      return n && n.text !== "." ? other("@") : undefined;
    }
    if (c === "%") {
      this.i++;
      const s = this.str();
      return s && other(s.text);
    }
    const token = this.match(TOKEN);
    return token ? { kind: "token", number: 0, text: token[0] } : undefined;
  }

  private whole(re: RegExp): Bare | undefined {
    const m = this.match(re);
    return m ? other(m[0]) : undefined;
  }

  private str(): Bare | undefined {
    const m = this.match(STRING);
    return m ? { kind: "string", number: 0, text: m[1] ?? "" } : undefined;
  }

  /** Reads an Integer or a Decimal. Only an Integer that is not negative has a use here. */
  private number(): Bare | undefined {
    const m = this.match(NUMBER);
    if (!m) return undefined;
    const digits = m[2] ?? "";
    const fraction = m[3];
    if (fraction !== undefined) {
      return digits.length <= 12 && fraction.length >= 2 && fraction.length <= 4 ? other(".") : undefined;
    }
    return m[1] === "-" ? other("-") : { kind: "integer", number: Number(digits), text: "" };
  }

  private match(re: RegExp): RegExpExecArray | null {
    re.lastIndex = this.i;
    const m = re.exec(this.s);
    if (m) this.i = re.lastIndex;
    return m;
  }

  private skip(blank: string): void {
    while (this.i < this.s.length && blank.includes(this.s[this.i] ?? "")) this.i++;
  }
}

function other(text: string): Bare {
  return { kind: "other", number: 0, text };
}

/** Takes over one parameter. Those that no draft defines are comments. */
function set(p: Policy, key: string, v: Bare): void {
  switch (key) {
    case "q":
    case "r":
    case "t":
    case "w":
      if (v.kind !== "integer") p.bad = true;
      else p[key] = v.number;
      break;
    case "qu":
      p.unit = v.text;
      p.bad ||= v.kind !== "string" && v.kind !== "token";
      break;
    case "pk":
      p.part = v.text;
  }
}

/** Reads the members of a List, undefined if the line breaks the syntax anywhere. */
export function parseList(line: string): Policy[] | undefined {
  const list: Policy[] = [];
  const c = new Cursor(line);
  for (let more = c.first(); more; more = c.next()) {
    const p = list.length < POLICIES_MAX ? c.item() : undefined;
    if (!p) return undefined;
    list.push(p);
  }
  return c.done() ? list : undefined;
}

/** What a field says of one budget, in seconds. */
export interface Seen {
  limit?: number;
  remaining?: number;
  resetAfter?: number;
  policy?: string;
}

/** Reads RateLimit and RateLimit-Policy: one member for each budget that they show. */
export function structured(h: Lookup): Seen[] {
  const limits = field(h, "ratelimit");
  const policies = parseList(field(h, "ratelimit-policy")) ?? [];
  if (/^ *[a-z*][a-z0-9_\-.*]*=/.test(limits)) return [dictionary(limits)];
  const states = parseList(limits) ?? [];
  if (states.length === 0) return [announced(policies)];
  return states.map((s) => state(s, policies));
}

function field(h: Lookup, name: string): string {
  const v = h(name) ?? "";
  return v.length > LIST_MAX ? "" : v;
}

/** What policies alone say: the limit, if there is just one. */
function announced(policies: Policy[]): Seen {
  const p = policies[0];
  if (!p || policies.length > 1 || !countsRequests(p)) return {};
  return { ...quota(p), ...named(p) };
}

/** Turns a member of RateLimit into what it says, with the limit of its policy. */
function state(p: Policy, policies: Policy[]): Seen {
  if (p.bad || p.r === undefined || !countsRequests(p) || (p.kind !== "string" && p.kind !== "token")) return {};
  const match = find(p, policies);
  // The unit stands beside the quota in the newest draft, not beside the state.
  if (match && !countsRequests(match)) return {};
  return { ...(match && quota(match)), ...named(p), remaining: p.r, ...left(p.t) };
}

/** The policy that p is the state of. Names that stay ambiguous match nothing. */
function find(p: Policy, policies: Policy[]): Policy | undefined {
  const same = policies.filter((q) => q.kind !== "integer" && q.text === p.text);
  return same.find((q) => q.part === p.part) ?? (same.length === 1 ? same[0] : undefined);
}

function quota(p: Policy): Seen {
  if (p.bad) return {};
  const limit = p.kind === "integer" ? p.number : p.q;
  return limit === undefined ? {} : { limit };
}

function named(p: Policy): Seen {
  const name = p.kind === "string" ? p.text.replace(/\\(.)/g, "$1") : p.text;
  return name === "" ? {} : { policy: clip(name) };
}

function left(t: number | undefined): Seen {
  return t === undefined || t > 366 * 24 * 3600 ? {} : { resetAfter: t };
}

/** Bytes or concurrent requests left are no number of requests. */
function countsRequests(p: Policy): boolean {
  return p.unit === "" || p.unit === "requests" || p.unit === "request";
}

/** Reads draft 07's `limit=100, remaining=50, reset=5`. */
function dictionary(line: string): Seen {
  const seen = new Map<string, Policy>();
  const c = new Cursor(line);
  for (let more = c.first(); more; more = c.next()) {
    const key = c.key();
    const p = key !== "" && c.take("=") ? c.item() : undefined;
    if (!p) return {};
    seen.set(key, p);
  }
  if (!c.done()) return {};
  const whole = (key: string) => {
    const p = seen.get(key);
    return p?.kind === "integer" ? p.number : undefined;
  };
  const limit = whole("limit");
  const remaining = whole("remaining");
  return { ...(limit !== undefined && { limit }), ...(remaining !== undefined && { remaining }), ...left(whole("reset")) };
}
