const utf8 = new TextEncoder();
const offsetBasis = 0x811c9dc5;

/**
 * FNV-1a, 32 bit, over the UTF-8 bytes of a text.
 * @param from the hash of a preceding text, so that a common prefix is hashed once.
 * @returns an unsigned 32-bit integer.
 * Source: Fowler, Noll, Vo, "The FNV Non-Cryptographic Hash Algorithm"; offset basis 2166136261, prime 16777619.
 */
export const fnv1a = (text: string, from = offsetBasis): number => {
  let hash = from;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return hashBytes(utf8.encode(text.slice(index)), hash);
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return hash >>> 0;
};

const hashBytes = (bytes: Uint8Array, from: number): number => {
  let hash = from;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
};

/**
 * Breaks ties: for a seed, maps each agent id to a number whose order differs from seed to seed. FNV-1a alone would
 * order `agent-1`, `agent-2` almost by their last digit, so its bits are mixed once more.
 * @returns a function from agent id to an unsigned 32-bit integer.
 * Source: FNV-1a as above; the finaliser fmix32 of MurmurHash3 (Appleby).
 */
export const tieBreaker = (seed: string): ((agentId: string) => number) => {
  const from = fnv1a(`${seed}\u0000`);
  return (agentId) => {
    let hash = fnv1a(agentId, from);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  };
};
