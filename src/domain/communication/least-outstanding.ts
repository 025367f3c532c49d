import { tieBreaker } from '../hash.js';

export interface Candidate {
  readonly agentId: string;
  readonly status: 'live' | 'unready' | 'lapsed' | 'left';
  /** Open deliveries in its inbox. */
  readonly open: number;
}

const preference = { live: 0, unready: 1, lapsed: 2, left: 3 } as const;

/**
 * Picks one of several candidates: of two drawn at random, the one with fewer open deliveries. Live agents are preferred
 * to agents that are not ready, and those to agents whose lease has lapsed. An agent that has left is never chosen.
 * @param draw seeds the draw. The same seed gives the same choice, so that a retry repeats the first attempt's choice.
 * Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
 */
export function leastOutstandingOfTwo(candidates: readonly Candidate[], draw: string): Candidate | undefined {
  const best = Math.min(...candidates.map(({ status }) => preference[status]));
  if (!(best < preference.left)) return undefined;
  const order = tieBreaker(draw);
  const [first, second] = candidates
    .filter(({ status }) => preference[status] === best)
    .map((candidate) => ({ candidate, rank: order(candidate.agentId) }))
    .sort((a, b) => a.rank - b.rank || (a.candidate.agentId < b.candidate.agentId ? -1 : 1))
    .map(({ candidate }) => candidate);
  return first && second && second.open < first.open ? second : first;
}
