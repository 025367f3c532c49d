const utf8 = new TextEncoder();

/**
 * FNV-1a, 32 bit, over the UTF-8 bytes of a text.
 * @returns an unsigned 32-bit integer.
 * Source: Fowler, Noll, Vo, "The FNV Non-Cryptographic Hash Algorithm"; offset basis 2166136261, prime 16777619.
 */
export const fnv1a = (text: string): number => {
  let hash = 0x811c9dc5;
  for (const byte of utf8.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
};

/**
 * A number that orders agents differently for every seed, and always alike for the same seed: who wins a tie.
 * FNV-1a alone would order `agent-1`, `agent-2` almost by their last digit, so its bits are mixed once more.
 * @returns an unsigned 32-bit integer.
 * Source: FNV-1a as above; the finaliser fmix32 of MurmurHash3 (Appleby).
 */
export const tieBreak = (seed: string, agentId: string): number => {
  let hash = fnv1a(`${seed}\u0000${agentId}`);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
};
