import { existsSync } from 'node:fs';
import { communicationResult, type ReceiptView } from 'cluster-manager/contracts';
import { waitUntil } from './agent-processes.js';
import {
  journalFigures,
  openJournal,
  readJournals,
  type Journal,
  type JournalEntry,
  type JournalFigures,
} from './journal.js';
import { kill, type Restart } from './kill.js';
import { trafficTypes, type TrafficOrder } from './message-traffic.js';
import { completed, type Scene } from './scene.js';

export interface MessagingOutcome {
  readonly figures: JournalFigures;
  readonly server: Restart;
  readonly worker: Restart;
  readonly receipt: ReceiptView;
}

interface MessagingScene extends Scene {
  /** The agents' journals and, last, that of this process. */
  readonly journals: readonly string[];
}

const order: TrafficOrder = { topic: 'headlines', everyMs: 60 };
const ackWithinSeconds = 30;
/** Messages accepted before the first kill, and again after each. */
const messagesBetweenKills = 150;

/** The members of a cluster send messages while the server and then the worker are killed. */
export async function runMessaging(scene: MessagingScene, clusterId: string): Promise<MessagingOutcome> {
  const { agents, journals } = scene;
  const own = openJournal(journals.at(-1) ?? '');
  const entries = (): JournalEntry[] => readJournals(journals.filter(existsSync));
  const accepted = (sinceMs = 0): JournalEntry[] =>
    entries().filter(
      (entry) => entry.what === 'sent' && entry.outcome === 'accepted' && Date.parse(entry.at) > sinceMs,
    );
  const moreAccepted = (sinceMs: number): Promise<true> =>
    waitUntil('more messages are accepted', () => accepted(sinceMs).length >= messagesBetweenKills, 40_000);

  scene.print(
    '',
    '5  The members of "newsroom" send messages; the server is killed meanwhile',
    `   each agent sends to another member, to the cluster and to the topic "${order.topic}" in turn, every ${order.everyMs} ms`,
  );
  await createTopic(scene);
  await sendToCluster(scene, own, clusterId, trafficTypes.start);
  await moreAccepted(0);
  const server = await killServer(scene, accepted);
  await moreAccepted(server.killedAtMs + server.restartMs);

  scene.print(
    '',
    `6  A broadcast requires an ack of every member within ${ackWithinSeconds} s: the four steps of manageCommunication; the worker is killed meanwhile`,
  );
  const { worker, receipt } = await broadcastAndKillWorker(scene, own, clusterId);
  await moreAccepted(worker.killedAtMs + worker.restartMs);

  await sendToCluster(scene, own, clusterId, trafficTypes.stop);
  await waitUntil('every agent has stopped sending', () =>
    agents.every(({ events }) => events.some(({ event }) => event === 'traffic-stopped')),
  );
  own.close();
  // Deliveries without an ack now are leased or queued. Those that stay without one are reported as lost.
  await waitUntil('every delivery is acked', () => journalFigures(entries()).lost === 0).catch(() => undefined);
  return { figures: journalFigures(entries()), server, worker, receipt };
}

/** Creates the topic and subscribes every agent in one request. */
async function createTopic({ api, agents, print }: Scene): Promise<void> {
  const topics = [
    { action: 'create' as const, name: order.topic },
    ...agents.map(({ id }) => ({ action: 'subscribe' as const, agentId: id, pattern: order.topic })),
  ];
  const { temporalUrl } = await completed(api, await api.request({ type: 'COMMUNICATION', topics }));
  print(`   one request created the topic and ${agents.length} subscriptions: ${temporalUrl}`);
}

async function sendToCluster({ api }: Scene, own: Journal, clusterId: string, type: string): Promise<void> {
  const message = { to: { cluster: clusterId }, type, data: order };
  const [result] = (await api.sendMessages({ body: { messages: [message] } })).results;
  if (!result?.accepted) throw new Error(`The message "${type}" was refused: ${JSON.stringify(result)}`);
  await journalSent({ api }, own, result.id, result.matched);
}

async function journalSent({ api }: Pick<Scene, 'api'>, own: Journal, id: string, matched: number): Promise<void> {
  const { source } = (await api.getMessage({ params: { id } })).message;
  own.write({ what: 'sent', source, id, outcome: 'accepted', matched });
}

async function killServer(
  { stack, print }: Scene,
  accepted: (sinceMs?: number) => readonly JournalEntry[],
): Promise<Restart> {
  const killed = kill(stack, 'server');
  print(`   SIGKILL to the server (${killed.pid}) after ${accepted().length} accepted messages`);
  const server = await killed.restarted();
  await waitUntil('messages are accepted again', () => accepted(server.killedAtMs).length > 0);
  const firstMs = Math.min(...accepted(server.killedAtMs).map(({ at }) => Date.parse(at))) - server.killedAtMs;
  print(
    `   the server restarted as process ${server.newPid} after ${server.restartMs} ms; the next message was accepted ${firstMs} ms after the kill`,
  );
  return server;
}

async function broadcastAndKillWorker(
  scene: Scene,
  own: Journal,
  clusterId: string,
): Promise<{ worker: Restart; receipt: ReceiptView }> {
  const { stack, api, agents, print } = scene;
  const startedMs = Date.now();
  const broadcast = {
    to: { cluster: clusterId },
    type: trafficTypes.notice,
    data: { text: 'Read this before it is printed' },
    require: 'all' as const,
    deadlineSeconds: ackWithinSeconds,
  };
  const operation = await api.request({ type: 'COMMUNICATION', broadcasts: [broadcast] });
  await waitUntil('every agent has received the broadcast', () =>
    agents.every(({ events }) => events.some(({ event }) => event === 'reading')),
  );
  const killed = kill(stack, 'worker-1');
  const { state } = (await api.getOperation({ params: { id: operation.id } })).operation;
  if (state !== 'running') throw new Error(`The broadcast was ${state} before the worker was killed`);
  print(
    `   SIGKILL to worker-1 (${killed.pid}): all ${agents.length} agents have the broadcast, none has acked it yet`,
  );
  const worker = await killed.restarted();
  print(`   worker-1 restarted as process ${worker.newPid} after ${worker.restartMs} ms`);
  const ended = await completed(api, operation);
  const [receipt] = communicationResult.parse(ended.result).broadcasts;
  if (!receipt || 'error' in receipt) throw new Error(`The broadcast has no receipt: ${JSON.stringify(receipt)}`);
  await journalSent(scene, own, receipt.messageId, receipt.matched);
  const ms = Date.parse(ended.endedAt ?? '') - startedMs;
  print(
    `   receipt ${receipt.state} after ${ms} ms: ${receipt.acked} of ${receipt.matched} members acked, at epoch ${receipt.epoch}`,
    `   ${ended.temporalUrl}`,
  );
  return { worker, receipt };
}
