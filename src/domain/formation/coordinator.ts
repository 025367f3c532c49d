import { tieBreaker } from '../hash.js';

/**
 * Elects the member that coordinates a cluster: the least loaded, ties by stable hash, then id.
 * @param members `load` is in-flight work over concurrency, 0..1.
 * @param seed decides ties; usually the operation id.
 * @returns an agent id; null when there are no members.
 */
export const electCoordinator = (
  members: readonly { readonly agentId: string; readonly load: number }[],
  seed: string,
): string | null => {
  const tieOf = tieBreaker(seed);
  let winner: { readonly agentId: string; readonly load: number; readonly tie: number } | null = null;
  for (const { agentId, load } of members) {
    const tie = tieOf(agentId);
    if (
      winner === null ||
      load < winner.load ||
      (load === winner.load && (tie < winner.tie || (tie === winner.tie && agentId < winner.agentId)))
    ) {
      winner = { agentId, load, tie };
    }
  }
  return winner?.agentId ?? null;
};

/** The previous coordinator if it is still a member, else an elected one; null without members. */
export const keepOrElectCoordinator = (
  previous: string | null,
  members: readonly { readonly agentId: string; readonly load: number }[],
  seed: string,
): string | null =>
  previous !== null && members.some(({ agentId }) => agentId === previous) ? previous : electCoordinator(members, seed);
