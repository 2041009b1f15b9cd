/** How much of a text from outside is kept, in bytes of UTF-8. */
const TEXT_MAX = 512;

/** Bounds a text from outside, on a character's border. */
export function clip(s: string): string {
  if (s.length * 3 <= TEXT_MAX) return s;
  const bytes = new TextEncoder().encode(s.slice(0, TEXT_MAX));
  if (bytes.length <= TEXT_MAX && s.length <= TEXT_MAX) return s;
  let end = Math.min(bytes.length, TEXT_MAX);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--; // not within a character
  return new TextDecoder().decode(bytes.subarray(0, end));
}
