import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommunicationRequest } from '../../src/contracts/communication.js';
import type { NewMessage } from '../../src/contracts/messages.js';
import type { Violation } from '../support/checker.js';
import { journalFigures, readJournals, type JournalFigures } from '../support/journal.js';
import { waitFor } from '../support/wait-for.js';
import type { Deployment, DeploymentServer } from './deployment.js';
import { enrol, insist, sendAll, startReader, type AgentClient, type Reader } from './messaging-client.js';

const readers = 6;
const senders = 8;

/** Settings under which deliveries recover soon after a fault of some seconds, and none is dead-lettered. */
export const patient = {
  communication: { delivery_lease: 4, retry_delays: [0], delivery_tries: 50 },
  // These agents send no heartbeats.
  agents: { lease: 3600 },
} as const;

export interface RunningLoad {
  /** Messages whose senders received the answer that they are accepted. */
  readonly accepted: () => number;
  /** COMMUNICATION requests that have completed. */
  readonly requests: () => number;
  /** Lets the senders finish and waits until every delivery is acked. @returns how long that took, in ms. */
  readonly finish: (timeoutMs: number) => Promise<number>;
}

/** Agents of one deployment that send and receive messages, with their journals. */
export interface MessagingLoad {
  readonly clusterId: string;
  /** Starts eight senders, which send to agents, a role, the cluster and a topic, up to ten messages a call. */
  readonly start: (random: () => number) => Promise<RunningLoad>;
  readonly check: () => Promise<Violation[]>;
  readonly figures: () => JournalFigures & { readonly redelivered: number };
  readonly close: () => Promise<void>;
}

/** Forms a cluster of six agents that are subscribed to a topic and always receive, half of them by stream. */
export async function openMessagingLoad(
  deployment: Deployment & { readonly server: DeploymentServer },
  name: string,
): Promise<MessagingLoad> {
  const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-messaging-'));
  const admin = { url: deployment.server.url, token: deployment.server.adminToken };
  const team: AgentClient[] = [];
  for (let index = 0; index < readers; index += 1) {
    team.push(await enrol(deployment.server, folder, { id: `${name}-${index}`, capabilities: [name] }));
  }
  const { clusterId } = await deployment.manager.formCluster({
    requestId: name,
    name,
    requiredCapabilities: [name],
    roles: [{ name: 'lead', capability: name, min: 2, max: 2 }],
    size: { desired: readers },
  });
  await insist(admin, 'POST', '/v1/topics', { name: `news.${name}` });
  for (const [index, agent] of team.entries()) {
    const how = index < readers / 2 ? {} : { queueGroup: 'half' };
    await insist(agent, 'POST', `/v1/agents/${agent.id}/subscriptions`, { pattern: 'news.>', ...how });
  }
  const reading: Reader[] = team.map((agent, index) => startReader(agent, { by: index % 2 === 0 ? 'poll' : 'stream' }));
  const clients = [...team];
  let loads = 0;

  const journal = () => readJournals(readdirSync(folder).map((file) => join(folder, file)));
  const open = async (): Promise<number> => {
    const { count } = await deployment.stores.communication
      .selectFrom('deliveries')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    return count;
  };

  return {
    clusterId,
    start: async (random) => {
      loads += 1;
      const writers: AgentClient[] = [];
      for (let index = 0; index < senders; index += 1) {
        writers.push(await enrol(deployment.server, folder, { id: `${name}-writer-${loads}-${index}` }));
      }
      clients.push(...writers);
      let stopped = false;
      let accepted = 0;
      const message = (): NewMessage => {
        const draw = random();
        const type = 'note';
        const data = 'x'.repeat(Math.floor(random() * 500));
        if (draw < 0.6) return { to: { agent: `${name}-${Math.floor(random() * readers)}` }, type, data };
        if (draw < 0.75) return { to: { role: 'lead', cluster: clusterId }, type, data };
        if (draw < 0.9) return { to: { topic: `news.${name}` }, type, data };
        return { to: { cluster: clusterId }, type, data };
      };
      const sending = writers.map((writer) =>
        sendAll(
          writer,
          () => (stopped ? undefined : Array.from({ length: 1 + Math.floor(random() * 10) }, message)),
          (count) => {
            accepted += count;
          },
        ),
      );
      const asking = repeatRequests(deployment, { prefix: `${name}-${loads}`, clusterId, isStopped: () => stopped });
      return {
        accepted: () => accepted,
        requests: asking.done,
        finish: async (timeoutMs) => {
          const startedMs = performance.now();
          stopped = true;
          await Promise.all(sending);
          await waitFor('all deliveries to be acked', async () => (await open()) === 0, { timeoutMs, everyMs: 100 });
          const tookMs = performance.now() - startedMs;
          await asking.ended;
          await waitFor('the last deliveries to be acked', async () => (await open()) === 0, {
            timeoutMs,
            everyMs: 100,
          });
          return tookMs;
        },
      };
    },
    check: () => deployment.check({ journal: journal(), bounds: { tries: patient.communication.delivery_tries } }),
    figures: () => {
      const entries = journal();
      const received = entries.filter((entry) => entry.what === 'received');
      return { ...journalFigures(entries), redelivered: received.filter(({ attempt }) => attempt > 1).length };
    },
    close: async () => {
      await Promise.all(reading.map((reader) => reader.stop()));
      for (const client of clients) client.journal.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs one COMMUNICATION request after the other, so that the worker has work that a kill can interrupt. */
function repeatRequests(
  deployment: Deployment,
  { prefix, clusterId, isStopped }: { prefix: string; clusterId: string; isStopped: () => boolean },
) {
  let [asked, done] = [0, 0];
  const ask = async (): Promise<void> => {
    while (!isStopped()) {
      asked += 1;
      const to = { cluster: clusterId };
      const request: CommunicationRequest = {
        requestId: `${prefix}-request-${asked}`,
        messages: [{ to, type: 'note', data: asked }],
        broadcasts: [{ to, type: 'question', data: asked, require: 'quorum', deadlineSeconds: 15 }],
        routing: [{ clusterId }],
      };
      for (;;) {
        try {
          const { broadcasts } = await deployment.manager.manageCommunication(request);
          const [receipt] = broadcasts;
          if (!receipt || !('state' in receipt) || receipt.state === 'open') {
            throw new TypeError(`A receipt is ${JSON.stringify(receipt)}`);
          }
          break;
        } catch (error) {
          // The request id stays the same, so Temporal attaches to the running workflow or starts it.
          if (error instanceof TypeError) throw error;
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      }
      done += 1;
    }
  };
  return { done: () => done, ended: ask() };
}
