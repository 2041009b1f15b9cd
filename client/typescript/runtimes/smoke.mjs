// What the client does in a runtime, with nothing but what all runtimes have: it is given the
// URL of the client laboratory (../../../integration/clientlab/serve, 20 requests in 8 s).
//   deno run --allow-net runtimes/smoke.mjs URL      bun runtimes/smoke.mjs URL
import { Client, RateLimitError } from "../dist/index.js";

const url = globalThis.Deno?.args[0] ?? globalThis.process?.argv[2];
const expect = (ok, what) => {
  if (!ok) throw new Error(what);
};
const post = (client, init) => client.fetch(`${url}/v1/token`, { method: "POST", body: "{}", ...init });

// Until a window is spent and has enough time left for what follows.
const eager = new Client({ attempts: 1, errorOnLimit: true });
let error;
while (!(error?.retryAfter >= 4)) {
  try {
    const response = await post(eager);
    expect(response.status === 201 && eager.lastRateLimit.limit === 20, `answer ${response.status}`);
    await response.text();
  } catch (e) {
    expect(e instanceof RateLimitError, String(e));
    error = e;
    if (e.retryAfter < 4) await new Promise((resolve) => setTimeout(resolve, e.retryAfter * 1000));
  }
}
expect(error.remaining === 0 && error.limit === 20, `error ${error}`);
expect(error.code === "RATE_LIMIT_EXCEEDED" && error.requestId !== "", `code ${error.code}, request ${error.requestId}`);

const reason = new Error("enough");
const abort = new AbortController();
const aborted = await post(new Client({ onWait: () => abort.abort(reason) }), { signal: abort.signal }).catch((e) => e);
expect(aborted === reason, `aborted: ${aborted}`);

const stream = await post(new Client(), { body: new Blob(["{}"]).stream(), duplex: "half" });
expect(stream.status === 429, `a stream is sent once: ${stream.status}`);

const waits = [];
const began = performance.now();
const response = await post(new Client({ onWait: (seconds, why) => waits.push([seconds, why]) }));
const waited = (performance.now() - began) / 1000;
expect(response.status === 201 && waits.length === 1 && waits[0][1] === "retry-after", `retried: ${response.status}, ${waits}`);
expect(waited >= waits[0][0], `waited ${waited} s, not ${waits[0][0]}`);

console.log(`smoke: refused with retryAfter ${error.retryAfter}; asked to wait, it waited ${waited.toFixed(3)} s, then passed`);
