import { tieBreaker } from '../hash.js';
import { byText } from '../order.js';

interface Loaded {
  readonly agentId: string;
  /** In-flight work over concurrency, 0..1. */
  readonly load: number;
}

/**
 * Elects the member that coordinates a cluster: the least loaded, ties by stable hash, then id.
 * @param seed decides ties; usually the operation id.
 * @returns an agent id; null when there are no members.
 */
export const electCoordinator = (members: readonly Loaded[], seed: string): string | null => {
  const tieOf = tieBreaker(seed);
  const [winner] = members
    .map(({ agentId, load }) => ({ agentId, load, tie: tieOf(agentId) }))
    .sort((a, b) => a.load - b.load || a.tie - b.tie || byText(a.agentId, b.agentId));
  return winner?.agentId ?? null;
};

/** The previous coordinator if it is still a member, else an elected one; null without members. */
export const keepOrElectCoordinator = (
  previous: string | null,
  members: readonly Loaded[],
  seed: string,
): string | null =>
  previous !== null && members.some(({ agentId }) => agentId === previous) ? previous : electCoordinator(members, seed);
