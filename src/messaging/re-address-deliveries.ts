import type { Address } from '../contracts/messages.js';
import { findSuccessor } from '../domain/communication/find-successor.js';
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
  readonly buried: number;
}

/**
 * Gives the mail of a cluster that waits for agents that are no members any more to their successors: what was for a
 * role, a capability or a queue group goes to another who has it; what was for the agent itself becomes a dead letter.
 */
export const reAddressClusterDeliveries = (deps: MessagingDeps, clusterId: string): Promise<ReAddressed> =>
  reAddress(deps, 'member_removed', () => orphanedByCluster(deps.communication, clusterId, chunk));

/** The same for all mail of an agent that has left. */
export const reAddressAgentDeliveries = (deps: MessagingDeps, agentId: string): Promise<ReAddressed> =>
  reAddress(deps, 'recipient_left', () => orphanedByAgent(deps.communication, agentId, chunk));

async function reAddress(
  deps: MessagingDeps,
  reason: 'member_removed' | 'recipient_left',
  next: () => Promise<OrphanedDelivery[]>,
): Promise<ReAddressed> {
  let [moved, buried] = [0, 0];
  for (;;) {
    const strays = await next();
    if (strays.length === 0) return { moved, buried };
    const directory = await readDirectory(deps.communication, strays.flatMap(addressOf), [], 0.5);
    const successors = strays.map((stray) => ({ stray, to: findSuccessor(stray, directory) }));
    const moves = successors.flatMap(({ stray, to }) => (to === undefined ? [] : [{ ...stray, to }]));
    const orphans = successors.flatMap(({ stray, to }) => (to === undefined ? [stray] : []));
    const movedNow = moves.length > 0 ? await moveDeliveries(deps.communication, moves) : 0;
    failpoint('reAddress:moved');
    const buriedNow =
      orphans.length > 0
        ? await deadLetterDeliveries(
            deps.communication,
            orphans,
            reason,
            'Its recipient went away before the ack, and nobody stands in for it',
          )
        : 0;
    deps.notify([...new Set(moves.map(({ to }) => to))]);
    moved += movedNow;
    buried += buriedNow;
    // Others work on the same mail: what could not be changed now is theirs, or the next look's.
    if (movedNow + buriedNow === 0) return { moved, buried };
  }
}

/** What a successor is looked for by; mail for the agent itself needs none. */
function addressOf({ via, clusterId, topic }: OrphanedDelivery): Address[] {
  const [how, name = ''] = splitVia(via);
  if (how === 'role' && clusterId !== null) return [{ role: name, cluster: clusterId }];
  if (how === 'capability') return [{ capability: name, ...(clusterId === null ? {} : { cluster: clusterId }) }];
  if (how === 'group' && topic !== null) return [{ topic }];
  return [];
}

const splitVia = (via: string): [string, string?] => {
  const at = via.indexOf(':');
  return at < 0 ? [via] : [via.slice(0, at), via.slice(at + 1)];
};
