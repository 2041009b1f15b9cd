import { text, pairs, type Answer, type PaceCase } from "./table.js";
import type { VirtualTime } from "./virtual.js";

/** Gives one answer after the other, the last one for ever. */
export class Script {
  readonly sent: number[] = [];
  readonly heard: number[] = [];
  readonly bodies: unknown[] = [];
  readonly broken = new TypeError("connection reset");

  constructor(
    private readonly time: VirtualTime,
    private readonly answers: Answer[],
  ) {}

  readonly fetch = async (_input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const a = this.answers[this.sent.length] ?? this.answers.at(-1);
    if (!a) throw new Error("no answers");
    this.sent.push(this.time.elapsed());
    const body = init?.body;
    this.bodies.push(body instanceof ReadableStream ? await new Response(body).text() : body);
    await this.time.sleep(a.delay ?? 0);
    this.heard.push(this.time.elapsed());
    if (a.fail) throw this.broken;
    const empty = a.status === 204;
    return new Response(empty ? null : late(this.time, text(a.body), a.bodyDelay), { status: a.status, headers: pairs(a.headers, this.time) });
  };
}

/** A body whose first byte takes a while. */
function late(time: VirtualTime, body: string, seconds = 0): BodyInit {
  if (seconds === 0) return body;
  return new ReadableStream({
    async pull(c) {
      await time.sleep(seconds);
      c.enqueue(new TextEncoder().encode(body));
      c.close();
    },
  });
}

/** A fixed window, the first of which begins with the case, with seconds left in its headers. */
export class Window {
  readonly sent: number[] = [];
  refused = 0;
  private start: number;
  private used: number;

  constructor(
    private readonly time: VirtualTime,
    private readonly s: NonNullable<PaceCase["server"]>,
  ) {
    this.start = time.elapsed();
    this.used = s.used ?? 0;
  }

  readonly fetch = async (): Promise<Response> => {
    this.sent.push(this.time.elapsed());
    await this.time.sleep(this.s.latency ?? 0);
    const answer = this.decide();
    await this.time.sleep(this.s.latency ?? 0);
    return answer;
  };

  private decide(): Response {
    const { quota, window } = this.s;
    while (this.time.elapsed() - this.start >= window) {
      this.start += window;
      this.used = 0;
    }
    const left = this.start + window - this.time.elapsed();
    const ok = this.used < quota;
    if (ok) this.used++;
    else this.refused++;
    return new Response("", {
      status: ok ? 200 : 429,
      headers: {
        "X-RateLimit-Limit": String(quota),
        "X-RateLimit-Remaining": String(quota - this.used),
        "X-RateLimit-Reset": (Math.ceil(left * 1000) / 1000).toFixed(3),
        ...(!ok && { "Retry-After": String(Math.ceil(left)) }),
      },
    });
  }
}
