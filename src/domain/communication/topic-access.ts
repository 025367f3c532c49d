import type { AccessList } from '../../contracts/topics.js';

/** Whether an access list admits an agent. Operators (null) are always admitted; a missing list admits every agent. */
export const isTopicAllowed = (
  list: AccessList | null,
  agentId: string | null,
  clustersOf: ReadonlyMap<string, readonly string[]>,
): boolean =>
  list === null ||
  agentId === null ||
  list.agents.includes(agentId) ||
  (clustersOf.get(agentId) ?? []).some((id) => list.clusters.includes(id));
