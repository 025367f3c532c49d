import { existsSync } from 'node:fs';
import type { HttpClient } from 'cluster-manager';
import { communicationResult, type OperationView, type ReceiptView } from 'cluster-manager/contracts';
import type { Stack } from '../../src/dev-stack/stack.js';
import { until, type AgentProcess } from './agent-fleet.js';
import { journalFigures, openJournal, readJournals, type JournalEntry, type JournalFigures } from './journal.js';
import { kill, type Kill } from './kill.js';
import { talkTypes, type TalkOrder } from './talk.js';

export interface Conversation {
  readonly figures: JournalFigures;
  readonly server: Kill;
  readonly worker: Kill;
  readonly receipt: ReceiptView;
}

interface Scene {
  readonly stack: Stack;
  readonly api: HttpClient;
  readonly agents: readonly AgentProcess[];
  /** The agents' journals and the orchestrator's own, which is the last. */
  readonly journals: readonly string[];
  readonly tell: (...lines: string[]) => void;
}

const order: TalkOrder = { topic: 'headlines', everyMs: 60 };
const ackWithinSeconds = 30;
/** So much is said before the first kill, and again after each. */
const messagesBetween = 150;

/** The agents of a cluster talk, and meanwhile the server and then the worker are killed. */
export async function converse(scene: Scene, clusterId: string): Promise<Conversation> {
  const { tell, agents, journals } = scene;
  const own = openJournal(journals.at(-1) ?? '');
  const entries = (): JournalEntry[] => readJournals(journals.filter(existsSync));
  const accepted = (sinceMs = 0): JournalEntry[] =>
    entries().filter(
      (entry) => entry.what === 'sent' && entry.outcome === 'accepted' && Date.parse(entry.at) > sinceMs,
    );
  const more = (sinceMs: number): Promise<true> =>
    until('messages flow', () => accepted(sinceMs).length >= messagesBetween, 40_000);

  tell(
    '',
    '5  The newsroom talks, and the server is killed meanwhile',
    `   each agent sends to a colleague, to the whole cluster and to the topic "${order.topic}" in turn, a message each ${order.everyMs} ms`,
  );
  await openTopic(scene);
  await sendToCluster(scene, own, clusterId, talkTypes.begin);
  await more(0);
  const ending = kill(scene.stack, 'server');
  tell(`   SIGKILL to server (${ending.pid}) after ${accepted().length} accepted messages`);
  const server = await ending.back();
  await until('messages flow again', () => accepted(server.killedMs).length > 0);
  const firstMs = Math.min(...accepted(server.killedMs).map(({ at }) => Date.parse(at))) - server.killedMs;
  tell(
    `   server is back as ${server.newPid} after ${server.backMs} ms; the next message was accepted ${firstMs} ms after the kill`,
  );
  await more(server.killedMs + server.backMs);

  tell(
    '',
    `6  Everybody's ack is required within ${ackWithinSeconds} s: manageCommunication, four retryable activities; the worker is killed`,
  );
  const { worker, receipt } = await broadcastAndKill(scene, own, clusterId);
  await more(worker.killedMs + worker.backMs);

  await sendToCluster(scene, own, clusterId, talkTypes.end);
  await until('every agent has said its last', () =>
    agents.every(({ journal }) => journal.some(({ event }) => event === 'talk-ended')),
  );
  own.close();
  // What is open now is under its lease, or waits for its turn: it ends soon, or it is lost.
  await until('every delivery is acked', () => journalFigures(entries()).lost === 0).catch(() => undefined);
  return { figures: journalFigures(entries()), server, worker, receipt };
}

/** Makes the topic and subscribes every agent in one request. */
async function openTopic({ api, agents, tell }: Scene): Promise<void> {
  const topics = [
    { action: 'create' as const, name: order.topic },
    ...agents.map(({ id }) => ({ action: 'subscribe' as const, agentId: id, pattern: order.topic })),
  ];
  const ended = await completed(api, await api.request({ type: 'COMMUNICATION', topics }));
  tell(`   one request makes the topic and ${agents.length} subscriptions: ${ended.temporalUrl}`);
}

async function sendToCluster(
  { api }: Scene,
  own: ReturnType<typeof openJournal>,
  clusterId: string,
  type: string,
): Promise<void> {
  const [result] = await api.sendMessages([{ to: { cluster: clusterId }, type, data: order }]);
  if (!result?.accepted) throw new Error(`"${type}" was refused: ${JSON.stringify(result)}`);
  const { source } = await api.message(result.id);
  own.write({ what: 'sent', source, id: result.id, outcome: 'accepted', matched: result.matched });
}

async function broadcastAndKill(
  { stack, api, agents, tell }: Scene,
  own: ReturnType<typeof openJournal>,
  clusterId: string,
): Promise<{ worker: Kill; receipt: ReceiptView }> {
  const startedMs = Date.now();
  const operation = await api.request({
    type: 'COMMUNICATION',
    broadcasts: [
      {
        to: { cluster: clusterId },
        type: talkTypes.proof,
        data: { text: 'Read this before it is printed' },
        require: 'all',
        deadlineSeconds: ackWithinSeconds,
      },
    ],
  });
  await until('every agent reads it', () =>
    agents.every(({ journal }) => journal.some(({ event }) => event === 'reading')),
  );
  const ending = kill(stack, 'worker-1');
  const { state } = await api.operation(operation.id);
  if (state !== 'running') throw new Error(`The broadcast was ${state} when the worker was killed: that was too late`);
  tell(`   SIGKILL to worker-1 (${ending.pid}): all ${agents.length} read the broadcast, nobody has acked it`);
  const worker = await ending.back();
  tell(`   worker-1 is back as ${worker.newPid} after ${worker.backMs} ms`);
  const ended = await completed(api, operation);
  const [receipt] = communicationResult.parse(ended.result).broadcasts;
  if (!receipt || 'error' in receipt) throw new Error(`There is no receipt: ${JSON.stringify(receipt)}`);
  const { source } = await api.message(receipt.messageId);
  own.write({ what: 'sent', source, id: receipt.messageId, outcome: 'accepted', matched: receipt.matched });
  const ms = Date.parse(ended.endedAt ?? '') - startedMs;
  tell(
    `   receipt ${receipt.state} after ${ms} ms: ${receipt.acked} of ${receipt.matched} members acked, at epoch ${receipt.epoch}`,
    `   ${ended.temporalUrl}`,
  );
  return { worker, receipt };
}

async function completed(api: HttpClient, { id }: OperationView): Promise<OperationView> {
  const ended = await api.waitForOperation(id, { timeoutMs: 60_000 });
  if (ended.state !== 'completed') throw new Error(`Operation ${id} was ${ended.state}: ${ended.error?.detail}`);
  return ended;
}
