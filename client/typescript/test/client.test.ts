import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, parseRateLimit, RateLimitError, weirFetch, type Options } from "@weir/client";
import { Script } from "./servers.js";
import type { Answer } from "./table.js";
import { VirtualTime } from "./virtual.js";

const REFUSED: Answer = { status: 429, headers: [["Retry-After", "1"]] };
const OK: Answer = { status: 200, headers: [["X-RateLimit-Limit", "20"], ["X-RateLimit-Remaining", "19"], ["X-RateLimit-Reset", "42"]] };

/** Runs a test in virtual time with a client that meets these answers. */
async function meet(answers: Answer[], options: Options, f: (client: Client, server: Script, time: VirtualTime) => Promise<void>): Promise<void> {
  const time = new VirtualTime(1764000000);
  try {
    const server = new Script(time, answers);
    await time.run(f(new Client({ fetch: server.fetch, ...options }), server, time));
  } finally {
    time.restore();
  }
}

const URL_ = "http://api.test/v1/token";

function form(): FormData {
  const f = new FormData();
  f.set("a", "b");
  return f;
}

for (const [name, body, sent] of [
  ["none", null, 2],
  ["a string", "grant", 2],
  ["an empty string", "", 2],
  ["a buffer", new TextEncoder().encode("grant").buffer, 2],
  ["a view", new TextEncoder().encode("grant"), 2],
  ["a Blob", new Blob(["grant"]), 2],
  ["FormData", form(), 2],
  ["URLSearchParams", new URLSearchParams({ a: "b" }), 2],
  ["a stream", new Blob(["grant"]).stream(), 1],
  ["something else", (async function* () { yield await Promise.resolve("grant"); })() as unknown as BodyInit, 1],
] as [string, BodyInit | null, number][]) {
  test(`a body that is ${name} is sent ${String(sent)} times`, async () => {
    await meet([REFUSED, OK], {}, async (client, server) => {
      const response = await client.fetch(URL_, { method: "POST", body, duplex: "half" } as RequestInit);
      assert.equal(response.status, sent === 2 ? 200 : 429);
      assert.equal(server.sent.length, sent);
    });
  });
}

test("a Request is sent again only if it has no body", async () => {
  await meet([REFUSED, OK], {}, async (client, server) => {
    assert.equal((await client.fetch(new Request(URL_))).status, 200);
    assert.equal(server.sent.length, 2);
  });
  await meet([REFUSED, OK], {}, async (client, server) => {
    assert.equal((await client.fetch(new Request(URL_, { method: "POST", body: "grant" }))).status, 429);
    assert.equal(server.sent.length, 1);
  });
  await meet([{ status: 503, headers: [["Retry-After", "1"]] }, OK], {}, async (client) => {
    const keyed = new Request(URL_, { method: "POST", headers: { "Idempotency-Key": "k" } });
    assert.equal((await client.fetch(keyed)).status, 200, "its method and headers count");
  });
});

test("lastRateLimit is that of the last answer", async () => {
  await meet([OK, { status: 200 }, { status: 200, fail: true }], {}, async (client, server) => {
    assert.deepEqual(client.lastRateLimit, {}, "unknown before the first");
    await client.fetch(URL_);
    assert.equal(client.lastRateLimit.remaining, 19);
    assert.equal(client.lastRateLimit.reset?.getTime(), 1764000042000);
    await client.fetch(URL_);
    const last = client.lastRateLimit;
    assert.equal(last.remaining, undefined, "an answer without headers is unknown");
    await assert.rejects(client.fetch(URL_), server.broken);
    assert.equal(client.lastRateLimit, last, "no answer says nothing");
  });
});

test("an abort ends each kind of wait with its reason", async () => {
  const reason = new Error("enough");
  const after = (time: VirtualTime, seconds: number) => {
    const abort = new AbortController();
    void time.sleep(seconds).then(() => {
      abort.abort(reason);
    });
    return abort.signal;
  };
  await meet([{ status: 429, headers: [["Retry-After", "60"]] }], {}, async (client, server, time) => {
    await assert.rejects(client.fetch(URL_, { signal: after(time, 3) }), reason);
    await assert.rejects(client.fetch(new Request(URL_, { signal: after(time, 3) })), { name: "Error", message: "enough" });
    assert.equal(time.elapsed(), 6);
    assert.equal(server.sent.length, 2);
  });
  const spent: Answer = { status: 200, headers: [["X-RateLimit-Remaining", "0"], ["X-RateLimit-Reset", "60"]] };
  await meet([spent, OK], { pace: "wait" }, async (client, server, time) => {
    await client.fetch(URL_);
    const first = assert.rejects(client.fetch(URL_, { signal: after(time, 3) }), reason);
    const second = client.fetch(URL_);
    await first;
    assert.equal(time.elapsed(), 3);
    await second;
    assert.equal(time.elapsed(), 60, "the next in the queue moves up");
    assert.equal(server.sent.length, 2);
  });
  await meet([OK], {}, async (client, server) => {
    await assert.rejects(client.fetch(URL_, { signal: AbortSignal.abort(reason) }).then(() => Promise.reject(reason)), reason);
    assert.ok(server.sent.length <= 1);
  });
});

test("an aborted request is not repeated", async () => {
  await meet([{ status: 200, fail: true }], { connections: true }, async (client, server) => {
    await assert.rejects(client.fetch(URL_, { signal: AbortSignal.abort() }), server.broken);
    assert.equal(server.sent.length, 1);
  });
});

test("a setting that is none is refused by name and value", () => {
  for (const [options, text] of [
    [{ attempts: 0 }, "attempts is 0"],
    [{ attempts: NaN }, "attempts is NaN"],
    [{ total: -1 }, "total is -1"],
    [{ backoff: "1" }, "backoff is 1"],
    [{ maxBackoff: 0 }, "maxBackoff is 0"],
    [{ paceMax: -5 }, "paceMax is -5"],
    [{ pace: "slow" }, "pace is slow"],
  ] as [Options, string][]) {
    assert.throws(() => new Client(options), new RegExp(text));
  }
});

test("weirFetch stands alone", async () => {
  await meet([REFUSED, OK], {}, async (_, server) => {
    const { f } = { f: weirFetch({ fetch: server.fetch }) };
    assert.equal((await f(new URL(URL_))).status, 200);
  });
});

test("the error says what happened on one line", async () => {
  const forged: Answer = { status: 429, headers: [["Content-Type", "application/json"]], body: '{"message":"a\\nlevel=error\\u001b[2J"}' };
  await meet([forged], { errorOnLimit: true, attempts: 1 }, async (client) => {
    const error: unknown = await client.fetch(URL_).catch((e: unknown) => e);
    assert.ok(error instanceof RateLimitError && error instanceof Error);
    assert.equal(error.name, "RateLimitError");
    assert.ok(!/[\n\x1b]/.test(error.message), error.message);
  });
});

test("many budgets are forgotten", async () => {
  await meet([OK], { pace: "wait", route: (r) => r.url.pathname }, async (client, server) => {
    for (let i = 0; i < 3000; i++) await client.fetch(`http://api.test/${String(i)}`);
    assert.equal(server.sent.length, 3000);
  });
});

test("names of headers in the way of objects", () => {
  assert.equal(parseRateLimit(Object.entries({ "X-RateLimit-Remaining": "5", constructor: "1" })).remaining, 5);
  assert.equal(parseRateLimit(new Map([["X-RateLimit-Remaining", "5"]])).remaining, 5);
});
