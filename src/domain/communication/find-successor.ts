import { leastOutstandingOfTwo } from './least-outstanding.js';
import { mayUseTopic, type Directory } from './route-messages.js';

/** A delivery that was given to an agent which cannot handle it any more. */
export interface OrphanedDelivery {
  readonly agentId: string;
  /** How the agent was found: `role:<role>`, `capability:<name>`, `group:<name>`, else for itself. */
  readonly via: string;
  readonly messageId: string;
  readonly source: string;
  readonly clusterId: string | null;
  readonly topic: string | null;
  /** Who has the message already, in a copy of its own. */
  readonly holders: readonly string[];
}

/**
 * Who takes over: another who has the role, the capability or a place in the queue group now; nobody for mail that was
 * for the agent itself, for each member or for each subscriber, who have or had a copy of their own.
 */
export function findSuccessor(stray: OrphanedDelivery, directory: Directory): string | undefined {
  const passedOver = new Set([stray.agentId, stray.source, ...stray.holders]);
  const candidates = namesOf(stray, directory).filter((id) => !passedOver.has(id));
  return leastOutstandingOfTwo(
    [...new Set(candidates)].flatMap((id) => directory.agents.get(id) ?? []),
    `${stray.messageId}\n${stray.via}\n${stray.agentId}`,
  )?.agentId;
}

function namesOf({ via, clusterId, topic }: OrphanedDelivery, directory: Directory): readonly string[] {
  const { clusters, capabilities, topics, clustersOf } = directory;
  const colon = via.indexOf(':');
  if (colon < 0) return [];
  const [how, name] = [via.slice(0, colon), via.slice(colon + 1)];
  const members = clusterId === null ? undefined : clusters.get(clusterId)?.members;
  if (how === 'role') return members?.filter(({ roles }) => roles.includes(name)).map(({ agentId }) => agentId) ?? [];
  if (how === 'capability') {
    const able = capabilities.get(name) ?? [];
    return clusterId === null ? able : able.filter((id) => members?.some(({ agentId }) => agentId === id));
  }
  const known = topic === null ? undefined : topics.get(topic);
  const group =
    known?.subscriptions.filter(({ queueGroup }) => queueGroup === name).map(({ agentId }) => agentId) ?? [];
  return group.filter((agentId) => mayUseTopic(known?.subscribe ?? null, agentId, clustersOf));
}
