import type { Candidate, Spread } from './types.js';

/**
 * How many of `size` members may share one host or zone under a hard spread: at most ceil(n/2) - 1, so that losing
 * the fullest one leaves a majority; at most 1 of one or two members, where no majority can be kept.
 * It never falls as `size` grows, but it stands still between odd sizes: 4 members need 4 hosts, 5 need only 3.
 * @returns members, an integer >= 1.
 */
export const allowedPerGroup = (size: number): number => Math.max(1, Math.ceil(size / 2) - 1);

/**
 * The host or zone an agent is on.
 * @returns null where the agent does not say. A soft spread then counts the agent as alone in its own group;
 * a hard spread refuses it, since a promise about hosts cannot rest on an unknown one.
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
