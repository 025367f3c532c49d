import { isDeepStrictEqual } from 'node:util';
import { acceptMessages } from '../../src/messaging/accept-messages.js';
import type { Envelope } from '../../src/messaging/message-draft.js';
import type { CommunicationRequest } from '../../src/contracts/communication.js';
import { newMessage, type NewMessage } from '../../src/contracts/messages.js';
import { communicationSteps } from '../../src/contracts/steps.js';
import { activateCluster, inTransaction } from '../../src/stores/clusters/index.js';
import { ackDeliveries, deliver, openInbox, leaseDeliveries } from '../../src/stores/communication/index.js';
import { claimOf } from '../stores/communication/builders.js';
import type { Violation } from '../support/checker.js';
import { addAgents } from '../support/fleet.js';
import type { JournalFact, JournalEntry } from '../support/journal.js';
import { communicationSettings, messagingOf } from '../support/messaging.js';
import { waitFor } from '../support/wait-for.js';
import type { Deployment } from './deployment.js';

/**
 * Where the worker is killed during manageCommunication: before, inside and after the transaction of each step, and
 * between the writes of one step to the communication database.
 */
export const communicationPoints: readonly string[] = [
  ...communicationSteps.flatMap((step) => ['before', 'before-commit', 'after-commit'].map((at) => `${step}:${at}`)),
  'acceptMail:committed',
  'handleBroadcasts:accepted',
  'manageTopics:create',
  'manageTopics:subscribe',
  'manageTopics:publish',
  'updateRouting:published',
  'reAddress:moved',
];

export interface Interrupted {
  readonly state: string;
  readonly accepted: number;
  /** Stored messages of the operation; a duplicate would count twice. */
  readonly stored: number;
  readonly receipts: readonly string[];
  /** Open deliveries of the member that was removed. */
  readonly left: number;
  readonly isSameAgain: boolean;
  readonly recoveryMs: number;
  readonly violations: readonly Violation[];
}

let runs = 0;

/**
 * Kills the worker at a point while it carries out a request with all four parts; the last one re-addresses the
 * deliveries of a removed member. The other members receive and ack all the time.
 */
export async function crashWhileCommunicating(deployment: Deployment, point: string): Promise<Interrupted> {
  runs += 1;
  const name = `talk-${runs}`;
  const { communication } = deployment.stores;
  const { clusterId, lost, others } = await clusterThatLostAMember(deployment, name);
  deployment.arm([point]);
  const readers = startReaders(deployment, others);
  const request = requestFor(name, clusterId, others);
  const { operationId, workflowId } = await deployment.manager.startCommunication(request);
  await waitFor(`the crash at ${point}`, () => deployment.fired(point) !== undefined, {
    timeoutMs: 60_000,
    everyMs: 5,
  });
  const crashedMs = performance.now();
  const result =
    await deployment.manager.result<Awaited<ReturnType<Deployment['manager']['manageCommunication']>>>(workflowId);
  const recoveryMs = performance.now() - crashedMs;
  const again = await deployment.manager.manageCommunication(request);
  await waitFor('the readers to ack every delivery', async () => (await openDeliveries(deployment, others)) === 0);
  const journal = await readers.stop();
  const { state } = await deployment.stores.clusters
    .selectFrom('operations')
    .select('state')
    .where('id', '=', operationId)
    .executeTakeFirstOrThrow();
  const { stored } = await communication
    .selectFrom('messages')
    .select(({ fn }) => fn.countAll<number>().as('stored'))
    .where('operationId', '=', operationId)
    .executeTakeFirstOrThrow();
  return {
    state,
    accepted: result.messages.accepted,
    stored,
    receipts: result.broadcasts.map((receipt) => ('state' in receipt ? receipt.state : receipt.error.code)),
    left: await openDeliveries(deployment, [lost]),
    isSameAgain: isDeepStrictEqual(again, result),
    recoveryMs,
    violations: await deployment.check({ journal }),
  };
}

/** Forms a cluster and removes a member in clusters_db only, so that the routing table stays one epoch behind. */
async function clusterThatLostAMember(deployment: Deployment, name: string) {
  const { clusters, communication } = deployment.stores;
  const agents = await addAgents(clusters, 4, { capabilities: [name] }, name);
  for (const id of agents) await openInbox(communication, id, [name]);
  const { clusterId, members } = await deployment.manager.formCluster({
    requestId: name,
    name,
    requiredCapabilities: [name],
    roles: [{ name: 'lead', capability: name, min: 2, max: 2 }],
    size: { desired: 4 },
  });
  const lost = members.find(({ roles }) => roles.includes('lead'))?.agentId ?? '';
  const others = agents.filter((id) => id !== lost);
  await acceptMessages(
    messagingOf(communication),
    Array.from({ length: 8 }, (_, index): Envelope => ({
      sender: { source: '/orchestrator/test', agentId: null },
      message: newMessage.parse({
        id: `${name}-before-${index}`,
        to: index % 2 === 0 ? { role: 'lead', cluster: clusterId } : { agent: lost },
        type: 'task',
        data: index,
      }),
    })),
  );
  await inTransaction(clusters, (tx) =>
    activateCluster(tx, {
      clusterId,
      operationId: name,
      epoch: 2,
      coordinator: others[0] ?? '',
      joining: [],
      leaving: [lost],
    }),
  );
  const change = {
    id: `${clusterId}.changed.2`,
    source: deployment.id,
    type: 'cluster.changed',
    clusterId,
    epoch: 2,
    data: null,
  };
  await deliver(communication, change, others);
  return { clusterId, lost, others };
}

function requestFor(name: string, clusterId: string, [first = '', second = '']: readonly string[]) {
  const addresses: NewMessage['to'][] = [
    { agent: first },
    { role: 'lead', cluster: clusterId },
    { capability: name, cluster: clusterId },
    { cluster: clusterId },
  ];
  return {
    requestId: `${name}-op`,
    messages: Array.from({ length: 20 }, (_, index) => ({
      to: addresses[index % addresses.length] ?? { agent: first },
      type: 'note',
      data: index,
    })),
    broadcasts: [
      { to: { cluster: clusterId }, type: 'told', data: null, require: 'quorum', deadlineSeconds: 120 },
      { to: { cluster: clusterId }, type: 'told', data: null },
    ],
    topics: [
      { action: 'create', name: `news.${name}` },
      { action: 'subscribe', agentId: first, pattern: `news.${name}` },
      { action: 'subscribe', agentId: second, pattern: `news.${name}`, queueGroup: 'readers' },
      { action: 'publish', name: `news.${name}`, type: 'published', data: null },
    ],
    routing: [{ clusterId }],
  } satisfies CommunicationRequest;
}

async function openDeliveries({ stores: { communication } }: Deployment, agentIds: readonly string[]): Promise<number> {
  const { count } = await communication
    .selectFrom('deliveries')
    .innerJoin('inboxes', 'inboxes.no', 'deliveries.inboxNo')
    .innerJoin('messages', 'messages.no', 'deliveries.messageNo')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('inboxes.agentId', 'in', agentIds)
    .where('messages.kind', '<>', 'manager')
    .executeTakeFirstOrThrow();
  return count;
}

/** Receives and acks the deliveries of these agents, and records both in a journal, until it is stopped. */
function startReaders({ stores: { communication } }: Deployment, agentIds: readonly string[]) {
  const journal: JournalEntry[] = [];
  const note = (fact: JournalFact): void => void journal.push({ ...fact, at: new Date().toISOString() });
  let stopped = false;
  const read = async (agentId: string): Promise<void> => {
    while (!stopped) {
      const leased = await leaseDeliveries(communication, agentId, 10, communicationSettings);
      for (const { delivery } of leased) {
        const { id: deliveryId, leaseToken, attempt, message } = delivery;
        const { id: messageId, source } = message;
        note({ what: 'received', agentId, deliveryId, leaseToken, attempt, messageId, source });
      }
      const acked = await ackDeliveries(
        communication,
        leased.map((one) => claimOf(agentId, one)),
      );
      for (const [place, { delivery }] of leased.entries()) {
        const { id: deliveryId, leaseToken } = delivery;
        note({ what: 'acked', agentId, deliveryId, leaseToken, confirmed: acked.has(place) });
      }
      if (leased.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const reading = Promise.all(agentIds.map(read));
  return {
    stop: async (): Promise<readonly JournalEntry[]> => {
      stopped = true;
      await reading;
      return journal;
    },
  };
}
