import { leastOutstandingOfTwo } from './least-outstanding.js';
import { partsOfVia, type Directory } from './routing.js';
import { isTopicAllowed } from './topic-access.js';

/** A delivery whose recipient can no longer handle it: the agent left, or is no longer a member. */
export interface OrphanedDelivery {
  readonly agentId: string;
  /** How the recipient was chosen: `role:<role>`, `capability:<name>`, `group:<name>`, or by its own id. */
  readonly via: string;
  readonly messageId: string;
  readonly source: string;
  readonly clusterId: string | null;
  readonly topic: string | null;
  /** Agents that already hold a delivery of the same message. */
  readonly holders: readonly string[];
}

/**
 * Finds the agent that takes over an orphaned delivery: another agent that now has the role, the capability or a place
 * in the queue group. A message to one agent, to every member or to every subscriber has no successor, since every
 * other recipient holds a copy of its own.
 */
export function findSuccessor(orphan: OrphanedDelivery, directory: Directory): string | undefined {
  const passedOver = new Set([orphan.agentId, orphan.source, ...orphan.holders]);
  const candidates = candidateIds(orphan, directory).filter((id) => !passedOver.has(id));
  return leastOutstandingOfTwo(
    [...new Set(candidates)].flatMap((id) => directory.agents.get(id) ?? []),
    `${orphan.messageId}\n${orphan.via}\n${orphan.agentId}`,
  )?.agentId;
}

function candidateIds({ via, clusterId, topic }: OrphanedDelivery, directory: Directory): readonly string[] {
  const { clusters, capabilities, topics, clustersOf } = directory;
  const [how, name] = partsOfVia(via);
  const members = clusterId === null ? undefined : clusters.get(clusterId)?.members;
  if (how === 'role') return members?.filter(({ roles }) => roles.includes(name)).map(({ agentId }) => agentId) ?? [];
  if (how === 'capability') {
    const able = capabilities.get(name) ?? [];
    return clusterId === null ? able : able.filter((id) => members?.some(({ agentId }) => agentId === id));
  }
  const known = topic === null ? undefined : topics.get(topic);
  const group =
    known?.subscriptions.filter(({ queueGroup }) => queueGroup === name).map(({ agentId }) => agentId) ?? [];
  return group.filter((agentId) => isTopicAllowed(known?.subscribe ?? null, agentId, clustersOf));
}
