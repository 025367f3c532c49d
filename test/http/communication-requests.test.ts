import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { communicationResult, type CommunicationResult } from '../../src/contracts/communication.js';
import type { ReceiptView } from '../../src/contracts/messages.js';
import type { OperationView } from '../../src/contracts/operations.js';
import { newToken, insertToken } from '../../src/stores/clusters/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';
import { codeOf, idsOf, messagingOf, only, type MessagingCalls } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi, operationOf } from './support.js';

let databases: TestDatabases;
let worker: TestWorker;
let test: TestApi;
let messaging: MessagingCalls;
beforeAll(async () => {
  databases = await createTestDatabases();
  worker = await startTestWorker(databases);
  test = await startTestApi({ databases, client: worker.manager });
  messaging = messagingOf(test);
});
afterAll(async () => {
  await test.stop();
  await worker.stop();
  await databases.drop();
});

interface How {
  readonly token?: string;
  readonly wait?: number;
  readonly headers?: Readonly<Record<string, string>>;
}
const ask = (request: object, { token, wait = 30, headers }: How = {}): Promise<Answer> =>
  test.call('POST', `/v1/requests?wait=${wait}`, {
    token: token ?? test.tokens.orchestrator,
    body: { type: 'COMMUNICATION', ...request },
    ...(headers ? { headers } : {}),
  });
const resultOf = (answer: Answer): CommunicationResult => {
  const { state, result, error } = operationOf(answer);
  if (state !== 'completed') throw new Error(`${state}: ${JSON.stringify(error)}`);
  return communicationResult.parse(result);
};
const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
const note = (id: string, agent: string, more: object = {}) => ({ id, to: { agent }, type: 'note', data: 1, ...more });
const stored = async (id: string): Promise<number> =>
  (await sql<{ n: number }>`select count(*) as n from messages where id = ${id}`.execute(databases.communication))
    .rows[0]?.n ?? 0;

describe('a COMMUNICATION request', () => {
  it('a COMMUNICATION request carries out its four parts, and the trace of each message names its operation', async () => {
    const token = await test.register('all-1');
    await messaging.route('cl_all', { 'all-1': [] });
    const answer = await ask({
      messages: [note('all-m', 'all-1'), note('all-d', 'nobody-there')],
      broadcasts: [{ id: 'all-b', to: { cluster: 'cl_all' }, type: 'hello', data: 2 }],
      topics: [
        { action: 'create', name: 'all.topic' },
        { action: 'subscribe', agentId: 'all-1', pattern: 'all.*' },
        { action: 'publish', id: 'all-p', name: 'all.topic', type: 'news', data: 3 },
        { action: 'unsubscribe', agentId: 'all-1', pattern: 'all.*' },
        { action: 'unsubscribe', agentId: 'all-1', pattern: 'all.*' },
        { action: 'delete', name: 'all.topic', mode: 'drain' },
        { action: 'delete', name: 'never.there' },
        { action: 'subscribe', agentId: 'nobody-there', pattern: 'x' },
      ],
      routing: [{ clusterId: 'cl_none' }],
    });
    expect(answer.status).toBe(200);
    const operation = operationOf(answer);
    expect(operation).toMatchObject({ type: 'COMMUNICATION', state: 'completed', clusterId: null });
    expect(operation.steps.map(({ name, state }) => [name, state])).toEqual([
      ['routeMessages', 'completed'],
      ['handleBroadcasts', 'completed'],
      ['manageTopics', 'completed'],
      ['updateRouting', 'completed'],
    ]);
    const result = resultOf(answer);
    expect(result.messages).toMatchObject({ accepted: 2, refused: 0, deadLettered: 1, problems: [{ id: 'all-d' }] });
    expect(result.broadcasts).toMatchObject([{ messageId: 'all-b', matched: 1, require: 'none', state: 'met' }]);
    expect(result.topics.map(({ action, outcome, error }) => [action, outcome, error?.code])).toEqual([
      ['create', 'created', undefined],
      ['subscribe', 'subscribed', undefined],
      ['publish', 'published', undefined],
      ['unsubscribe', 'unsubscribed', undefined],
      ['unsubscribe', 'unchanged', undefined],
      ['delete', 'draining', undefined],
      ['delete', 'unchanged', undefined],
      ['subscribe', 'refused', 'not_found'],
    ]);
    expect(result.routing).toMatchObject([{ clusterId: 'cl_none', outcome: 'refused', error: { code: 'not_found' } }]);
    const received = await messaging.receive('all-1', token);
    expect(received.map(({ message }) => [message.id, message.topic, message.data])).toEqual([
      ['all-m', null, 1],
      ['all-b', null, 2],
      ['all-p', 'all.topic', 3],
    ]);
    for (const id of ['all-m', 'all-b', 'all-p', 'all-d']) {
      expect(await messaging.trace(id)).toMatchObject({
        operationId: operation.id,
        temporalUrl: `http://127.0.0.1:8233/namespaces/default/workflows/communication%2F${operation.id}`,
      });
    }
  });

  const bad: readonly (readonly [string, object, string])[] = [
    ['no content', {}, '(body)'],
    ['a batch and messages', { batchId: 'b', messages: [note('x', 'y')] }, 'batchId'],
    ['an unknown field', { mesages: [] }, 'mesages'],
    ['1,001 messages', { messages: Array.from({ length: 1001 }, (_, i) => note(`n-${i}`, 'y')) }, 'messages'],
    ['a reserved type', { messages: [note('x', 'y', { type: 'cluster.joined' })] }, 'messages.0.type'],
    ['publishing to a wildcard', { topics: [{ action: 'publish', name: 'a.*', type: 't', data: 1 }] }, 'topics.0.name'],
    ['a broadcast to an agent', { broadcasts: [note('x', 'y')] }, 'broadcasts.0.to'],
    [
      'a deadline over an hour',
      { broadcasts: [{ ...note('x', 'y'), to: { allClusters: true }, deadlineSeconds: 3601 }] },
      'broadcasts.0.deadlineSeconds',
    ],
    ['an unknown action', { topics: [{ action: 'burn', name: 'a' }] }, 'topics.0.action'],
  ];
  it.each(bad)('an invalid COMMUNICATION request is refused and not stored: %s', async (_what, request, where) => {
    const answer = await ask({ requestId: 'bad-one', ...request });
    expect(refusal(answer)).toEqual([400, 'invalid_request']);
    expect((answer.body as { errors?: { path: string }[] }).errors?.map(({ path }) => path) ?? []).toContain(where);
    expect((await test.call('GET', '/v1/operations/bad-one', { token: test.tokens.viewer })).status).toBe(404);
  });

  it("an agent's COMMUNICATION request acts for that agent only, and other agents cannot read its operation", async () => {
    const [token, other] = [await test.register('asker'), await test.register('onlooker')];
    const answer = await ask(
      {
        messages: [note('from-agent', 'onlooker')],
        topics: [
          { action: 'subscribe', agentId: 'asker', pattern: 'own' },
          { action: 'subscribe', agentId: 'onlooker', pattern: 'foreign' },
          { action: 'unsubscribe', agentId: 'onlooker', pattern: 'foreign' },
        ],
        routing: [{ clusterId: 'cl_all' }],
      },
      { token },
    );
    const { topics, routing } = resultOf(answer);
    expect(topics.map(({ outcome, error }) => [outcome, error?.code])).toEqual([
      ['subscribed', undefined],
      ['refused', 'forbidden'],
      ['refused', 'forbidden'],
    ]);
    expect(routing).toMatchObject([{ outcome: 'refused', error: { code: 'forbidden' } }]);
    expect(only(await messaging.receive('onlooker', other)).message).toMatchObject({
      source: 'asker',
      replyTo: 'asker',
    });
    const { id } = operationOf(answer);
    expect((await test.call('GET', `/v1/operations/${id}`, { token })).status).toBe(200);
    expect((await test.call('GET', `/v1/operations/${id}`, { token: other })).status).toBe(404);
  });

  it('a COMMUNICATION request started by a Temporal client takes the same body and returns the same result', async () => {
    const token = await test.register('direct');
    const result = (await worker.client.workflow.execute('manageCommunication', {
      workflowId: 'communication/direct-1',
      taskQueue: worker.taskQueue,
      args: [{ requestId: 'direct-1', messages: [{ to: { agent: 'direct' }, type: 't', data: 'x' }] }],
    })) as unknown;
    expect(communicationResult.parse(result).messages).toMatchObject({ accepted: 1, deadLettered: 0 });
    const { message } = only(await messaging.receive('direct', token));
    expect(message).toMatchObject({ id: 'direct-1.m0', source: '/temporal', data: 'x' });
    const { body } = await test.call('GET', '/v1/operations/direct-1', { token: test.tokens.viewer });
    expect(body).toMatchObject({ operation: { state: 'completed', result } });
  });

  it('a COMMUNICATION request updates the routes of a formed cluster only at the expected epoch', async () => {
    for (const id of ['ro-1', 'ro-2', 'ro-3']) await test.register(id, { capabilities: ['route'] });
    const formed = await test.call('POST', '/v1/requests?wait=30', {
      token: test.tokens.orchestrator,
      body: { type: 'FORMATION', requestId: 'routed', name: 'routed', requiredCapabilities: ['route'] },
    });
    expect(operationOf(formed).state).toBe('completed');
    const clusterId = 'cl_routed';
    const { routing } = resultOf(
      await ask({ routing: [{ clusterId }, { clusterId, expectedEpoch: 1 }, { clusterId, expectedEpoch: 7 }] }),
    );
    expect(routing.map(({ outcome, epoch, error }) => [outcome, epoch, error?.code])).toEqual([
      ['unchanged', 1, undefined],
      ['unchanged', 1, undefined],
      ['refused', null, 'state_conflict'],
    ]);
    const sent = only(await messaging.send(test.tokens.orchestrator, { id: 'to-formed', to: { cluster: clusterId } }));
    expect(sent).toMatchObject({ accepted: true, matched: 3 });
  });
});

describe('a repeated COMMUNICATION request', () => {
  it('COMMUNICATION requests with one idempotency key are one operation, and its messages are sent once', async () => {
    const token = await test.register('idem');
    const headers = { 'idempotency-key': 'mail-1' };
    const request = { messages: [{ to: { agent: 'idem' }, type: 'note', data: 1 }] };
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(request, { headers })));
    expect(new Set(answers.map((answer) => operationOf(answer).id)).size).toBe(1);
    expect(operationOf(await ask(request, { headers })).result).toEqual(operationOf(answers[0] as Answer).result);
    expect(await messaging.receive('idem', token)).toHaveLength(1);
    expect(refusal(await ask({ messages: [note('other', 'idem')] }, { headers }))).toEqual([
      409,
      'idempotency_conflict',
    ]);
    expect(await stored('other')).toBe(0);
  });

  it('a COMMUNICATION request repeated with another orchestrator token returns the first operation, also when its messages are in a batch', async () => {
    await test.register('large-idem');
    const request = { requestId: 'large-1', messages: [note('li-1', 'large-idem', { data: 'x'.repeat(70_000) })] };
    const first = operationOf(await ask(request));
    const second = newToken();
    await insertToken(databases.clusters, second, { role: 'orchestrator', name: 'second' });
    const again = await ask(request, { token: second });
    expect([again.status, operationOf(again).id]).toEqual([200, first.id]);
    expect(await stored('li-1')).toBe(1);
  });

  it("an agent's COMMUNICATION request with the request id of another party is a conflict", async () => {
    const token = await test.register('intruder');
    const request = { requestId: 'taken-1', messages: [note('taken-m', 'intruder')] };
    await ask(request);
    expect(refusal(await ask(request, { token }))).toEqual([409, 'idempotency_conflict']);
  });
});

describe('messages that are too large for a workflow', () => {
  const batch = (body: object, token = test.tokens.orchestrator) =>
    test.call('POST', '/v1/message-batches', { token, body });
  const batchIdOf = ({ body }: Answer): string => (body as { batchId: string }).batchId;

  it('a request of a thousand messages stores them first and leaves a small workflow history', async () => {
    const token = await test.register('bulk');
    const messages = Array.from({ length: 1000 }, (_, i) => note(`bulk-${i}`, 'bulk', { data: 'x'.repeat(1000) }));
    const answer = await ask({ messages });
    expect(resultOf(answer).messages).toEqual({ accepted: 1000, refused: 0, deadLettered: 0, problems: [] });
    const { workflowId } = operationOf(answer);
    const history = await worker.client.workflow.getHandle(workflowId).fetchHistory();
    expect(JSON.stringify(history).length).toBeLessThan(64 * 1024);
    expect(history.events?.length ?? 0).toBeLessThan(60);
    expect(await messaging.receive('bulk', token, '?max=5')).toHaveLength(5);
  });

  it('a message batch can be sent by several requests, and its messages are delivered once', async () => {
    const token = await test.register('batched');
    const parts = { messages: [note('batched-1', 'batched')] };
    const first = await batch(parts);
    expect([first.status, batchIdOf(await batch(parts))]).toEqual([201, batchIdOf(first)]);
    const { messages } = resultOf(await ask({ batchId: batchIdOf(first) }));
    expect(messages).toMatchObject({ accepted: 1 });
    // The messages of a batch keep their ids, so a second request with it sends nothing again.
    expect(resultOf(await ask({ batchId: batchIdOf(first) })).messages).toMatchObject({ accepted: 1 });
    expect(idsOf(await messaging.receive('batched', token))).toEqual(['batched-1']);
  });

  it('a message batch can be sent only by the party that stored it', async () => {
    const [owner, thief] = [await test.register('b-owner'), await test.register('b-thief')];
    const batchId = batchIdOf(await batch({ messages: [note('b-1', 'b-thief')] }, owner));
    for (const token of [thief, test.tokens.orchestrator]) {
      const operation = operationOf(await ask({ batchId }, { token }));
      expect([operation.state, operation.error?.code]).toEqual(['refused', 'not_found']);
    }
    const missing = operationOf(await ask({ batchId: 'batch_none' }));
    expect([missing.state, missing.error?.code]).toEqual(['refused', 'not_found']);
    expect(resultOf(await ask({ batchId }, { token: owner })).messages).toMatchObject({ accepted: 1 });
  });

  it('a request whose topics are too large for a workflow is refused with 413 and not stored', async () => {
    const publish = { action: 'publish', name: 'too.large', type: 't', data: 'x'.repeat(70_000) };
    expect(refusal(await ask({ requestId: 'too-large', topics: [publish] }))).toEqual([413, 'body_too_large']);
    expect((await test.call('GET', '/v1/operations/too-large', { token: test.tokens.viewer })).status).toBe(404);
  });

  it('a message over 256 KiB is refused, and the other messages of its request are sent', async () => {
    const token = await test.register('mixed');
    const { messages } = resultOf(
      await ask({ messages: [note('mix-1', 'mixed', { data: 'x'.repeat(256 * 1024) }), note('mix-2', 'mixed')] }),
    );
    expect(messages).toMatchObject({ accepted: 1, refused: 1, problems: [{ id: 'mix-1', accepted: false }] });
    expect(idsOf(await messaging.receive('mixed', token))).toEqual(['mix-2']);
  });
});

describe('a broadcast’s receipt', () => {
  const members = ['r1', 'r2', 'r3'] as const;
  let round = 0;
  /** Sends a broadcast to a fresh cluster of three and waits until each member holds its copy. */
  const broadcast = async (require: string, deadlineSeconds: number) => {
    const n = (round += 1);
    const tokens = await Promise.all(members.map((id) => test.register(`${id}-${n}`)));
    const clusterId = `cl_receipt_${n}`;
    await messaging.route(clusterId, Object.fromEntries(members.map((id) => [`${id}-${n}`, []])), 3);
    const id = `receipt-${n}`;
    const answered = ask({
      requestId: `op-receipt-${n}`,
      broadcasts: [{ id, to: { cluster: clusterId }, type: 'vote', data: n, require, deadlineSeconds }],
    });
    const copies = await Promise.all(
      members.map(async (member, index) =>
        only(await messaging.receive(`${member}-${n}`, tokens[index] ?? '', '?waitSeconds=20')),
      ),
    );
    const settle = (index: number, what: 'ack' | 'nack' = 'ack', more = {}) => {
      const [token, copy] = [tokens[index], copies[index]];
      if (token === undefined || !copy) throw new Error('no such member');
      return messaging.settle(token, copy, what, more);
    };
    const receipt = async (): Promise<ReceiptView> =>
      ((await test.call('GET', `/v1/receipts/${id}`, { token: test.tokens.viewer })).body as { receipt: ReceiptView })
        .receipt;
    const settled = async (): Promise<ReceiptView> => only(resultOf(await answered).broadcasts) as ReceiptView;
    return { n, id, clusterId, answered, settle, receipt, settled };
  };

  it('a receipt that requires none is met at once and keeps counting acks', async () => {
    const { settled, settle, receipt, clusterId } = await broadcast('none', 30);
    expect(await settled()).toMatchObject({ clusterId, epoch: 3, matched: 3, require: 'none', state: 'met' });
    await settle(0);
    expect(await receipt()).toMatchObject({ matched: 3, delivered: 3, acked: 1, pending: 2, dead: 0, left: 0 });
  });

  it('a receipt that requires any is met by the first ack', async () => {
    const { settled, settle, receipt } = await broadcast('any', 30);
    expect(await receipt()).toMatchObject({ state: 'open', acked: 0, pending: 3 });
    await settle(1);
    expect(await settled()).toMatchObject({ state: 'met', acked: 1, pending: 2 });
  });

  it('a receipt that requires a quorum is met by more than half, and does not change after it is settled', async () => {
    const { settled, settle, receipt } = await broadcast('quorum', 30);
    await settle(0);
    expect(await receipt()).toMatchObject({ state: 'open', acked: 1 });
    await settle(1);
    const final = await settled();
    expect(final).toMatchObject({ state: 'met', acked: 2, pending: 1 });
    await settle(2);
    expect(await receipt()).toEqual(final);
  });

  it('a receipt that requires all is met by the acks of all members', async () => {
    const { settled, settle } = await broadcast('all', 30);
    for (const index of [0, 1, 2]) await settle(index);
    expect(await settled()).toMatchObject({ state: 'met', acked: 3, pending: 0 });
  });

  it('a receipt that requires all is unmet when the deadline passes first', async () => {
    const { settled, settle } = await broadcast('all', 4);
    for (const index of [0, 1]) await settle(index);
    expect(await settled()).toMatchObject({ state: 'unmet', matched: 3, acked: 2, pending: 1 });
  });

  it('a receipt that requires all is unmet at the first final nack', async () => {
    const { settled, settle } = await broadcast('all', 600);
    await settle(2, 'nack', { final: true, reason: 'cannot' });
    expect(await settled()).toMatchObject({ state: 'unmet', dead: 1, pending: 2 });
  });

  it('a receipt that requires all is met without the ack of a member that left', async () => {
    const { n, settled, settle } = await broadcast('all', 600);
    await test.call('DELETE', `/v1/agents/r3-${n}`, { token: test.tokens.admin });
    for (const index of [0, 1]) await settle(index);
    expect(await settled()).toMatchObject({ state: 'met', matched: 3, acked: 2, left: 1, pending: 0 });
  });

  it('a receipt of a broadcast to an empty cluster is unmet at once, with a dead letter', async () => {
    await messaging.route('cl_empty', {});
    const { broadcasts } = resultOf(
      await ask({
        broadcasts: [
          { id: 'to-nobody', to: { cluster: 'cl_empty' }, type: 'vote', data: 1, require: 'any', deadlineSeconds: 600 },
        ],
      }),
    );
    expect(broadcasts).toMatchObject([{ messageId: 'to-nobody', matched: 0, state: 'unmet' }]);
    const letters = await messaging.deadLetters('?reason=no_subscriber');
    expect(letters.map(({ messageId }) => messageId)).toContain('to-nobody');
  });

  it('a receipt keeps counting after its operation is cancelled, and other agents cannot read it', async () => {
    const { id, n, answered, receipt, settle } = await broadcast('all', 600);
    const cancelled = await test.call('POST', `/v1/operations/op-receipt-${n}/cancel`, {
      token: test.tokens.orchestrator,
    });
    expect(cancelled.status).toBeLessThan(300);
    await waitFor('the operation to end', async () => {
      const { body } = await test.call('GET', `/v1/operations/op-receipt-${n}`, { token: test.tokens.viewer });
      return (body as { operation: OperationView }).operation.state === 'cancelled';
    });
    expect(operationOf(await answered).state).toBe('cancelled');
    for (const index of [0, 1, 2]) expect((await settle(index)).status).toBe(200);
    expect(await receipt()).toMatchObject({ messageId: id, acked: 3, state: 'met' });
    const stranger = await test.register(`stranger-${n}`);
    expect((await test.call('GET', `/v1/receipts/${id}`, { token: stranger })).status).toBe(404);
  });
});
