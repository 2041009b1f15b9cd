export { CODE_EXCEEDED, CODE_UNAVAILABLE } from "./body.js";
export { Client, weirFetch } from "./client.js";
export { RateLimitError } from "./error.js";
export type { Options, Outline, Pace, Why } from "./options.js";
export { parseRateLimit, type RateLimit } from "./ratelimit.js";
