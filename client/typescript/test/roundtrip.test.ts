import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, CODE_EXCEEDED, RateLimitError } from "@weir/client";
import { Lab, without } from "./lab.js";

const skip = without("go", "version");

test("25 calls over three nodes: 20 pass, and the retry waits exactly", { skip }, async (t) => {
  await Lab.run(["-quota", "20", "-window", "8s"], async (lab) => {
    t.diagnostic(`25 calls: ${String(await burst(lab))} passed`);
    const told: number[] = [];
    const client = new Client({
      onWait: (seconds, why) => {
        assert.equal(why, "retry-after");
        told.push(seconds);
      },
    });
    assert.equal((await client.fetch(...lab.token("patient"))).status, 201);

    // From the server: no call came earlier than it had asked for.
    const [first, second, ...more] = await lab.calls("patient");
    assert.ok(first && second && more.length === 0, "refused, and then passed");
    const waited = (second.at - first.answered) / 1e9;
    assert.ok(waited >= first.retryAfter, `${String(waited)} s, asked for ${String(first.retryAfter)}`);
    assert.equal(told.length, 1);
    assert.ok(told[0] !== undefined && told[0] >= first.retryAfter && told[0] < first.retryAfter + 0.25, String(told[0]));
    t.diagnostic(`asked to wait ${String(first.retryAfter)} s, waited ${waited.toFixed(3)} s by the server's clock, then passed`);
  });
});

/** Makes 25 calls in one window and returns how many passed. */
async function burst(lab: Lab): Promise<number> {
  let last: Headers | undefined;
  const base: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    last = response.headers;
    return response;
  };
  const client = new Client({ fetch: base, attempts: 1, errorOnLimit: true });
  // The first call is in a window with enough time left for the others.
  for (;;) {
    await client.fetch(...lab.token("burst"));
    const left = client.lastRateLimit.resetAfter ?? 0;
    if (left >= 4) break;
    await new Promise((resolve) => setTimeout(resolve, left * 1000));
  }
  let passed = 1;
  for (let i = 1; i < 25; i++) {
    try {
      assert.equal((await client.fetch(...lab.token("burst"))).status, 201);
      passed++;
    } catch (e) {
      if (!(e instanceof RateLimitError)) throw e;
      const header = (name: string) => last?.get(name);
      assert.equal(String(e.limit), header("x-ratelimit-limit"));
      assert.equal(String(e.remaining), header("x-ratelimit-remaining"));
      assert.equal(String((e.reset?.getTime() ?? 0) / 1000), header("x-ratelimit-reset"));
      assert.equal(String(e.retryAfter), header("retry-after"));
      assert.equal(e.requestId, header("x-request-id"));
      assert.deepEqual([e.code, e.statusCode, e.attempts], [CODE_EXCEEDED, 429, 1]);
    }
  }
  assert.equal(passed, 20, "of 25");
  return passed;
}

const paced = process.env.WEIR_PACED;

// Prints what 64 clients that share one budget are refused, and how much of it they use.
for (const quota of [1000, 6400]) {
  test(`64 clients share ${String(quota)}`, { skip: skip || (!paced && "takes minutes: WEIR_PACED=1m") }, async () => {
    await Lab.run(["-quota", String(quota), "-window", paced ?? ""], async (lab) => {
      let windows = await lab.windows();
      // The first window is cut short by the start, the last by the end.
      const looking = (async () => {
        while (windows.length < 4) {
          await new Promise((resolve) => setTimeout(resolve, 1000));
          windows = await lab.windows();
        }
      })();
      const clients = Array.from({ length: 64 }, async (_, i) => {
        // A busy machine loses a connection now and then: that is sent again.
        const client = new Client({ pace: "spread", total: 3600, connections: true });
        const [url, init] = lab.token(String(i));
        const keyed = { ...init, headers: { ...init.headers, "Idempotency-Key": "k" } };
        while (windows.length < 4) await (await client.fetch(url, keyed)).text();
      });
      await Promise.all([looking, ...clients]);
      windows.slice(1, 3).forEach((w, i) => {
        console.log(
          `typescript, 64 clients, ${String(quota)} per ${String(paced)}, window ${String(i)}: used ${((100 * w.admitted) / quota).toFixed(1)} %, ` +
            `refused ${String(w.refused)}, ${(w.refused / 64).toFixed(3)} per client`,
        );
      });
    });
  });
}
