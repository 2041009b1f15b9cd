import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Client, parseRateLimit, RateLimitError, type RateLimit } from "@weir/client";
import { Script, Window } from "./servers.js";
import { between, type CallCase, checkKnown, load, pairs, type PaceCase } from "./table.js";
import { VirtualTime } from "./virtual.js";

const table = load();
const run = { parse: 0, calls: 0, pace: 0 };

/** How often each call is made: the waits have a random part. */
const CALL_RUNS = 5;

after(() => {
  // CI compares this line with those of the other languages.
  const { parse, calls, pace } = run;
  console.log(`vectors typescript: parse ${String(parse)}, calls ${String(calls)}, pace ${String(pace)}, total ${String(parse + calls + pace)}`);
});

describe("parse", () => {
  for (const c of table.parse) {
    test(c.name, () => {
      run.parse++;
      const now = new Date(table.now * 1000);
      const got = parseRateLimit(pairs(c.headers), now);
      checkKnown(got, c.want, true);
      assert.equal(got.received, now);
    });
  }

  // What the platform's own Headers take reads the same, their lines being joined.
  test("as Headers", () => {
    let read = 0;
    for (const c of table.parse) {
      const all = pairs(c.headers);
      // They refuse some characters, and trim before anybody counts.
      if (all.some(([, v]) => /[^\t\x20-\x7e]/.test(v) || v.trim().length < v.length - 100)) continue;
      checkKnown(parseRateLimit(new Headers(all), new Date(table.now * 1000)), c.want, true);
      read++;
    }
    assert.ok(read > table.parse.length - 10, String(read));
  });
});

describe("calls", () => {
  for (const c of table.calls) {
    test(c.name, async () => {
      run.calls++;
      for (let i = 0; i < CALL_RUNS; i++) await within((time) => call(time, c));
    });
  }
});

describe("pace", () => {
  for (const c of table.pace) {
    test(c.name, async () => {
      run.pace++;
      await within((time) => paced(time, c));
    });
  }
});

/** Runs a case in virtual time. */
async function within(f: (time: VirtualTime) => Promise<void>): Promise<void> {
  const time = new VirtualTime(table.now);
  try {
    await time.run(f(time));
  } finally {
    time.restore();
  }
}

async function call(time: VirtualTime, c: CallCase): Promise<void> {
  const server = new Script(time, c.answers);
  const waits: [string, number][] = [];
  const client = new Client({ ...c.options, fetch: server.fetch, onWait: (seconds, why) => void waits.push([why, seconds]) });
  const { method, headers, body, stream, cancel } = c.request;
  const abort = new AbortController();
  if (cancel) {
    void time.sleep(cancel).then(() => {
      abort.abort();
    });
  }
  const init: RequestInit & { duplex?: string } = { method, headers: pairs(headers), signal: abort.signal };
  if (body !== undefined) init.body = stream ? new Blob([body]).stream() : body;
  if (stream) init.duplex = "half";

  let response: Response | undefined;
  let error: unknown;
  try {
    response = await client.fetch("http://api.test/v1/token", init);
  } catch (e) {
    error = e;
  }
  const took = time.elapsed();

  assert.equal(server.sent.length, c.want.sent.length, `sent ${JSON.stringify(server.sent)}`);
  c.want.sent.forEach((want, i) => {
    between((server.sent[i] ?? NaN) - (i > 0 ? (server.heard[i - 1] ?? NaN) : 0), want, `sending ${String(i)}`);
  });
  assert.deepEqual(waits.map(([why]) => why), c.want.waits.map(([why]) => why));
  c.want.waits.forEach(([, least, most], i) => {
    between(waits[i]?.[1] ?? NaN, [least, most], `wait ${String(i)}`);
  });
  for (const b of server.bodies) assert.equal(b, body, "each attempt has the whole body");
  if (c.want.took) between(took, c.want.took, "took");
  await outcome(c, response, error, server, abort);
}

async function outcome(c: CallCase, response: Response | undefined, error: unknown, server: Script, abort: AbortController): Promise<void> {
  switch (c.want.outcome) {
    case "answer":
      assert.equal(error, undefined);
      assert.equal(response?.status, c.want.status);
      if (c.want.body !== undefined) assert.equal(await response?.text(), c.want.body, "the answer is whole");
      break;
    case "failed":
      assert.equal(error, server.broken);
      break;
    case "cancelled":
      assert.equal(error, abort.signal.reason);
      break;
    case "limited": {
      assert.ok(error instanceof RateLimitError, String(error));
      const { statusCode, attempts, code, requestId, message, ...known } = c.want.error ?? assert.fail();
      assert.deepEqual(
        [error.statusCode, error.attempts, error.code, error.requestId, error.serverMessage],
        [statusCode, attempts, code, requestId, message],
      );
      checkKnown(error.rateLimit, known, false);
      checkKnown(fields(error), known, false);
    }
  }
}

/** The values that the error shows itself. */
function fields(e: RateLimitError): RateLimit {
  return Object.fromEntries(
    Object.entries({ limit: e.limit, remaining: e.remaining, reset: e.reset, resetAfter: e.resetAfter, retryAfter: e.retryAfter, policy: e.rateLimit.policy }).filter(
      ([, v]) => v !== undefined,
    ),
  );
}

async function paced(time: VirtualTime, c: PaceCase): Promise<void> {
  const window = c.server && new Window(time, c.server);
  const server = window ?? new Script(time, c.answers ?? []);
  const client = new Client({ ...c.options, fetch: server.fetch, route: (r) => r.url.pathname });
  const held: [number, number][] = [];
  const all: Promise<void>[] = [];
  for (const r of c.requests) {
    await time.sleep(r.at - time.elapsed());
    for (let i = 0; i < r.count; i++) {
      const one = client.fetch(`http://api.test/${r.route ?? ""}`).then(
        () => undefined,
        (e: unknown) => {
          if (!(e instanceof RateLimitError)) return;
          assert.deepEqual([e.statusCode, e.attempts], [0, 0]);
          held.push([time.elapsed(), e.retryAfter ?? NaN]);
        },
      );
      all.push(one);
    }
    await time.settle();
  }
  await Promise.all(all);

  if (window) assert.equal(window.refused, c.want.refused, "refused");
  const sent = [...server.sent].sort((a, b) => a - b);
  assert.equal(sent.length, c.want.sent.length, `sent ${JSON.stringify(sent)}`);
  c.want.sent.forEach((want, i) => {
    between(sent[i] ?? NaN, typeof want === "number" ? [want, want] : want, `sending ${String(i)}`);
  });
  assert.equal(held.length, c.want.held?.length ?? 0, `held ${JSON.stringify(held)}`);
  c.want.held?.forEach(([when, wait], i) => {
    between(held[i]?.[0] ?? NaN, [when, when], "held at");
    between((held[i]?.[1] ?? NaN) + 0.001, [wait, wait + 0.001], "held for");
  });
}
