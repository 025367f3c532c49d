import type { Candidate, Spread } from './types.js';

/**
 * The most of `size` members that may share one host or zone under a hard spread: ceil(n/2) - 1, so that losing the
 * fullest one leaves a majority; 1 for one or two members, where no majority can survive.
 * It never decreases with `size` but only grows at odd sizes: 4 members need 4 hosts, 5 members need only 3.
 * @returns members, an integer >= 1.
 */
export const allowedPerGroup = (size: number): number => Math.max(1, Math.ceil(size / 2) - 1);

/**
 * The host or zone an agent is on.
 * @returns null when the agent reports none. A soft spread then counts the agent as alone in its own group; a hard
 * spread rejects it, since an unknown host cannot satisfy a guarantee about hosts.
 */
export const groupOf = (agent: Pick<Candidate, 'host' | 'zone'>, spread: Spread): string | null =>
  spread.by === 'host' ? agent.host : agent.zone;

/**
 * The most members of `size` that can be placed when no group may hold more than allowed.
 * @param groupSizes agents on each host or zone.
 * @returns a count, possibly above `size`.
 */
export const placeable = (groupSizes: Iterable<number>, size: number): number => {
  const allowed = allowedPerGroup(size);
  let sum = 0;
  for (const count of groupSizes) sum += Math.min(count, allowed);
  return sum;
};
