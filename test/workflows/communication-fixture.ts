import { randomUUID } from 'node:crypto';
import type { CommunicationRequest, CommunicationResult } from '../../src/contracts/communication.js';
import type { MessageTrace } from '../../src/contracts/messages.js';
import { traceMessage } from '../../src/messaging/message-trace.js';
import {
  ackDeliveries,
  findMessages,
  openInbox,
  leaseDeliveries,
  type Leased,
} from '../../src/stores/communication/index.js';
import { claimOf } from '../stores/communication/builders.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { communicationSettings } from '../support/messaging.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

/** A worker over databases of its own, and what tests of manage_communication ask of it. */
export interface CommunicationFixture {
  readonly stores: TestDatabases;
  readonly worker: TestWorker;
  /** Runs a request as any Temporal client could: the workflow's name, a task queue and one JSON object. */
  readonly run: (request: unknown, workflowId?: string) => Promise<CommunicationResult>;
  /** Three agents with an inbox each, and an active cluster of them. */
  readonly cluster: (
    name: string,
    formation?: object,
  ) => Promise<{ readonly clusterId: string; readonly members: readonly string[] }>;
  /** Leases all of an agent's mail; the manager's own is acked and left out. */
  readonly inboxOf: (agentId: string) => Promise<readonly Leased[]>;
  readonly typesOf: (agentId: string) => Promise<string[]>;
  readonly ackInbox: (agentId: string) => Promise<number>;
  readonly eventsOf: (workflowId: string) => Promise<readonly HistoryEvent[]>;
  /** Waits until a run has set its timer. */
  readonly waitsForAcks: (operationId: string) => Promise<unknown>;
  readonly wayOfMessage: (id: string) => Promise<Omit<MessageTrace, 'temporalUrl'>>;
  /** The broadcasts of a request as they were asked for. */
  readonly requested: (operationId: string) => Promise<CommunicationRequest['broadcasts']>;
  readonly close: () => Promise<void>;
}

type History = Awaited<ReturnType<ReturnType<TestWorker['client']['workflow']['getHandle']>['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];

export async function openCommunicationFixture(): Promise<CommunicationFixture> {
  const stores = await createTestDatabases();
  const worker = await startTestWorker(stores);
  const { communication, clusters } = stores;

  const inboxOf: CommunicationFixture['inboxOf'] = async (agentId) => {
    const leased = await leaseDeliveries(communication, agentId, 100, communicationSettings);
    const ofManager = leased.filter(({ delivery }) => delivery.message.type.startsWith('cluster.'));
    await ackDeliveries(
      communication,
      ofManager.map((one) => claimOf(agentId, one)),
    );
    return leased.filter((one) => !ofManager.includes(one));
  };
  const eventsOf: CommunicationFixture['eventsOf'] = async (workflowId) =>
    (await worker.client.workflow.getHandle(workflowId).fetchHistory()).events ?? [];

  return {
    stores,
    worker,
    run: (request, workflowId = `communication/${randomUUID()}`) =>
      worker.client.workflow.execute('manageCommunication', {
        workflowId,
        taskQueue: worker.taskQueue,
        args: [request],
      }),
    cluster: async (name, formation = {}) => {
      const members = await addAgents(clusters, 3, { capabilities: [name] }, name);
      for (const id of members) await openInbox(communication, id, [name]);
      const { clusterId } = await worker.manager.formCluster({
        requestId: name,
        name,
        requiredCapabilities: [name],
        ...formation,
      });
      return { clusterId, members };
    },
    inboxOf,
    typesOf: async (agentId) => (await inboxOf(agentId)).map(({ delivery }) => delivery.message.type),
    ackInbox: async (agentId) => {
      const leased = await inboxOf(agentId);
      await ackDeliveries(
        communication,
        leased.map((one) => claimOf(agentId, one)),
      );
      return leased.length;
    },
    eventsOf,
    waitsForAcks: (operationId) =>
      waitFor(`the timer of ${operationId}`, async () =>
        (await eventsOf(`communication/${operationId}`)).some((event) => event.timerStartedEventAttributes),
      ),
    wayOfMessage: async (id) => {
      const [message] = await findMessages(communication, id);
      if (!message) throw new Error(`There is no message ${id}`);
      return traceMessage(communication, message);
    },
    requested: async (operationId) => {
      const { request } = await clusters
        .selectFrom('operations')
        .select('request')
        .where('id', '=', operationId)
        .executeTakeFirstOrThrow();
      return (request as CommunicationRequest).broadcasts;
    },
    close: async () => {
      await worker.stop();
      await stores.drop();
    },
  };
}
