import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Client } from "@weir/client";

/** Runs a server on loopback for the time of f, and counts its connections. */
async function serving(answer: RequestListener, f: (url: string, connections: () => number) => Promise<void>): Promise<void> {
  let connections = 0;
  const server = createServer(answer);
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await f(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`, () => connections);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test("connections are used again after a refusal", async () => {
  let n = 0;
  const refuseTwo: RequestListener = (req, res) => {
    req.resume().on("end", () => {
      if (++n % 3 === 0) res.writeHead(204).end();
      else res.writeHead(429, { "Retry-After": "0", "Content-Type": "application/json" }).end("x".repeat(60000));
    });
  };
  await serving(refuseTwo, async (url, connections) => {
    const client = new Client({ backoff: 0.001 });
    for (let i = 0; i < 5; i++) {
      const response = await client.fetch(url, { method: "POST", body: "grant" });
      assert.equal(response.status, 204);
    }
    assert.equal(n, 15);
    // One, or another one where the runtime has not noted yet that the first is free. Without reading: 11.
    assert.ok(connections() <= 5, `${String(connections())} connections for 15 attempts`);
  });
});

test("an answer is read as it arrives, with its headers as the wire has them", async () => {
  const twice: RequestListener = (_, res) => {
    res.setHeader("RateLimit", ['"a";r=5;t=9', '"b";r=2;t=30']);
    res.setHeader("RateLimit-Policy", ['"a";q=10', '"b";q=20']);
    res.end("ok");
  };
  await serving(twice, async (url) => {
    const client = new Client();
    assert.equal(await (await client.fetch(url)).text(), "ok");
    const { limit, remaining, resetAfter, policy } = client.lastRateLimit;
    assert.deepEqual([limit, remaining, resetAfter, policy], [20, 2, 30, "b"]);
  });
});

test("a refusal whose body never ends is left", async () => {
  let n = 0;
  const endless: RequestListener = (_, res) => {
    if (++n > 1) {
      res.end("ok");
      return;
    }
    res.writeHead(429, { "Retry-After": "0", "Content-Type": "application/json" });
    const more = () => {
      while (!res.destroyed && res.write("x".repeat(1 << 16)));
    };
    res.on("drain", more);
    more();
  };
  await serving(endless, async (url) => {
    const response = await new Client({ backoff: 0.01 }).fetch(url);
    assert.equal(await response.text(), "ok");
  });
});
