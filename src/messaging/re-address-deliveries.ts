import type { Address } from '../contracts/messages.js';
import { findSuccessor } from '../domain/communication/find-successor.js';
import { partsOfVia } from '../domain/communication/routing.js';
import {
  deadLetterDeliveries,
  moveDeliveries,
  orphanedByAgent,
  orphanedByCluster,
  type OrphanedDelivery,
} from '../stores/communication/index.js';
import { failpoint } from '../stores/failpoint.js';
import type { MessagingDeps } from './deps.js';
import { readDirectory } from './read-directory.js';

const chunk = 500;

export interface ReAddressed {
  readonly moved: number;
  readonly deadLettered: number;
}

/**
 * Re-addresses the deliveries of a cluster to agents that are no longer members. A delivery for a role, a capability or a
 * queue group moves to a successor; one without a successor is dead-lettered.
 */
export const reAddressClusterDeliveries = (deps: MessagingDeps, clusterId: string): Promise<ReAddressed> =>
  reAddress(deps, 'member_removed', () => orphanedByCluster(deps.communication, clusterId, chunk));

/** Re-addresses all deliveries of an agent that has left, by the same rules. */
export const reAddressAgentDeliveries = (deps: MessagingDeps, agentId: string): Promise<ReAddressed> =>
  reAddress(deps, 'recipient_left', () => orphanedByAgent(deps.communication, agentId, chunk));

async function reAddress(
  deps: MessagingDeps,
  reason: 'member_removed' | 'recipient_left',
  nextChunk: () => Promise<OrphanedDelivery[]>,
): Promise<ReAddressed> {
  const total = { moved: 0, deadLettered: 0 };
  for (;;) {
    const orphaned = await nextChunk();
    if (orphaned.length === 0) return total;
    const { moved, deadLettered } = await reAddressChunk(deps, reason, orphaned);
    total.moved += moved;
    total.deadLettered += deadLettered;
    // Another process works on the same deliveries: it, or the next run, changes the rest.
    if (moved + deadLettered === 0) return total;
  }
}

async function reAddressChunk(
  { communication, notify }: MessagingDeps,
  reason: 'member_removed' | 'recipient_left',
  orphaned: readonly OrphanedDelivery[],
): Promise<ReAddressed> {
  const directory = await readDirectory(communication, orphaned.flatMap(successorAddress), [], 0.5);
  const successors = orphaned.map((delivery) => ({ delivery, to: findSuccessor(delivery, directory) }));
  const moves = successors.flatMap(({ delivery, to }) => (to === undefined ? [] : [{ ...delivery, to }]));
  const rest = successors.flatMap(({ delivery, to }) => (to === undefined ? [delivery] : []));
  const moved = moves.length > 0 ? await moveDeliveries(communication, moves) : 0;
  failpoint('reAddress:moved');
  const detail = 'Its recipient left before it acked, and there is no successor';
  const deadLettered = rest.length > 0 ? await deadLetterDeliveries(communication, rest, reason, detail) : 0;
  notify([...new Set(moves.map(({ to }) => to))]);
  return { moved, deadLettered };
}

/** The address by which a successor is found; a delivery for the agent itself has none. */
function successorAddress({ via, clusterId, topic }: OrphanedDelivery): Address[] {
  const [how, name] = partsOfVia(via);
  if (how === 'role' && clusterId !== null) return [{ role: name, cluster: clusterId }];
  if (how === 'capability') return [{ capability: name, ...(clusterId === null ? {} : { cluster: clusterId }) }];
  if (how === 'group' && topic !== null) return [{ topic }];
  return [];
}
