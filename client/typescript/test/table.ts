import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import type { RateLimit } from "@weir/client";
import type { VirtualTime } from "./virtual.js";

/** The table of cases of all three languages; ../../testdata/README.md describes it. */
export interface Table {
  now: number;
  parse: { name: string; headers: Line[]; want: Known }[];
  calls: CallCase[];
  pace: PaceCase[];
}

export type Text = string | (string | [string, number])[];
export type Line = [name: string, value: Text | { unix: number } | { date: number }, lines?: number];

/** What is known; what is absent is unknown. */
export interface Known {
  limit?: number;
  remaining?: number;
  reset?: number;
  resetAfter?: number;
  retryAfter?: number;
  policy?: string;
}

export interface Answer {
  status: number;
  headers?: Line[];
  body?: Text;
  delay?: number;
  bodyDelay?: number;
  fail?: boolean;
}

export interface CallCase {
  name: string;
  options?: object;
  request: { method: string; headers?: Line[]; body?: string; stream?: boolean; cancel?: number };
  answers: Answer[];
  want: {
    sent: [number, number][];
    waits: [string, number, number][];
    outcome: "answer" | "limited" | "failed" | "cancelled";
    status?: number;
    body?: string;
    took?: [number, number];
    error?: Known & { statusCode: number; attempts: number; code: string; requestId: string; message: string };
  };
}

export interface PaceCase {
  name: string;
  options: object;
  server?: { quota: number; window: number; used?: number; latency?: number };
  answers?: Answer[];
  requests: { at: number; count: number; route?: string }[];
  want: { sent: (number | [number, number])[]; refused?: number; held?: [number, number][] };
}

/** All fields that this runner knows: another one would be a part of a case that is not tested. */
const FIELDS = new Set(
  ("now parse calls pace name headers want limit remaining reset resetAfter retryAfter policy options attempts total backoff " +
    "maxBackoff connections errorOnLimit limit403 pace paceMax request method body stream cancel answers status delay " +
    "bodyDelay fail sent waits outcome took error statusCode code requestId message server quota window used latency " +
    "requests at count route refused held unix date").split(" "),
);

export function load(): Table {
  const raw = readFileSync(new URL("../../testdata/vectors.json", import.meta.url), "utf8");
  return JSON.parse(raw, (key, value: unknown) => {
    assert.ok(key === "" || /^\d+$/.test(key) || FIELDS.has(key), `field ${key}`);
    return value;
  }) as Table;
}

export function text(t: Text = ""): string {
  return typeof t === "string" ? t : t.map((p) => (typeof p === "string" ? p : p[0].repeat(p[1]))).join("");
}

/** The headers of an answer that arrives now, line by line. */
export function pairs(lines: Line[] = [], time?: VirtualTime): [string, string][] {
  const out: [string, string][] = [];
  for (const [name, value, count = 1] of lines) {
    let v: string;
    if (typeof value === "string" || Array.isArray(value)) v = text(value);
    else if ("unix" in value) v = String(Math.floor((time?.unix() ?? 0) + value.unix));
    else v = new Date((Math.floor(time?.unix() ?? 0) + value.date) * 1000).toUTCString();
    for (let i = 0; i < count; i++) out.push([name, v]);
  }
  return out;
}

/** Compares what was read with what is wanted. */
export function checkKnown(got: RateLimit, want: Known, withReset: boolean): void {
  assert.equal(got.limit, want.limit, "limit");
  assert.equal(got.remaining, want.remaining, "remaining");
  assert.equal(got.policy ?? "", want.policy ?? "", "policy");
  close(got.resetAfter, want.resetAfter, "resetAfter");
  close(got.retryAfter, want.retryAfter, "retryAfter");
  // A Date has milliseconds.
  if (withReset) close(got.reset && got.reset.getTime() / 1000, want.reset, "reset", 1e-3);
}

function close(got: number | undefined, want: number | undefined, name: string, tolerance = 1e-6): void {
  if (want === undefined || got === undefined) assert.equal(got, want, name);
  else assert.ok(Math.abs(got - want) <= tolerance, `${name}: ${String(got)}, not ${String(want)}`);
}

/** A time may be a millisecond more than said, to which timers round up; never less. */
export function between(got: number, [least, most]: [number, number], name: string): void {
  assert.ok(got >= least - 1e-9 && got <= most + 0.001 + 1e-9, `${name}: ${String(got)} is not in [${String(least)}, ${String(most)}]`);
}
