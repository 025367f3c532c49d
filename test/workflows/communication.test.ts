import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommunicationRequest } from '../../src/contracts/communication.js';
import type { NewMessage } from '../../src/contracts/messages.js';
import { communicationSteps } from '../../src/contracts/steps.js';
import { findOperation, stepsOf } from '../../src/stores/clusters/index.js';
import { openInbox, storeBatch } from '../../src/stores/communication/index.js';
import { checkInvariants } from '../support/checker.js';
import { openDesk, type Desk } from './communication-fixture.js';

let desk: Desk;

beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk?.close());

async function inbox(id: string, capabilities: readonly string[] = []): Promise<string> {
  await openInbox(desk.stores.communication, id, capabilities);
  return id;
}

const activitiesOf = async (workflowId: string): Promise<string[]> =>
  (await desk.eventsOf(workflowId)).flatMap(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? [],
  );

describe('manageCommunication', () => {
  it('does the four steps of the table, in their order, for every kind of address', async () => {
    const { clusterId, members } = await desk.cluster('every', {
      roles: [{ name: 'lead', capability: 'every', max: 1 }],
    });
    const second = await desk.cluster('second');
    const listener = await inbox('listener', ['rare']);
    const note = (type: string, to: NewMessage['to']) => ({ to, type, data: { about: type } });
    const request: CommunicationRequest = {
      requestId: 'every-address',
      messages: [
        note('one', { agent: 'every-0' }),
        note('a-role', { role: 'lead', cluster: clusterId }),
        note('a-capability', { capability: 'rare' }),
        note('here', { cluster: clusterId }),
        note('both', { clusters: [clusterId, second.clusterId] }),
        note('everywhere', { allClusters: true }),
        note('nowhere', { agent: 'nobody' }),
      ],
      broadcasts: [{ to: { cluster: clusterId }, type: 'told', data: null }],
      topics: [
        { action: 'create', name: 'news.local' },
        { action: 'subscribe', agentId: listener, pattern: 'news.>' },
        { action: 'subscribe', agentId: 'second-0', pattern: 'news.local', queueGroup: 'shared' },
        { action: 'subscribe', agentId: 'second-1', pattern: 'news.local', queueGroup: 'shared' },
        { action: 'publish', name: 'news.local', type: 'published', data: 1 },
        { action: 'unsubscribe', agentId: listener, pattern: 'news.>' },
        { action: 'delete', name: 'news.unheard-of' },
      ],
      routing: [{ clusterId }, { clusterId: 'cl_unheard-of' }],
    };
    const result = await desk.worker.manager.manageCommunication(request);
    expect(await activitiesOf('communication/every-address')).toEqual(communicationSteps);
    expect((await stepsOf(desk.stores.clusters, 'every-address')).map(({ step }) => step)).toEqual(communicationSteps);
    expect(result).toMatchObject({
      messages: {
        accepted: 7,
        refused: 0,
        deadLettered: 1,
        problems: [{ id: 'every-address.m6', matched: 0, deadLetter: 'unknown_recipient' }],
      },
      broadcasts: [{ messageId: 'every-address.b0', clusterId, epoch: 1, matched: 3, require: 'none', state: 'met' }],
      topics: [
        { action: 'create', name: 'news.local', outcome: 'created' },
        { action: 'subscribe', name: 'news.>', outcome: 'subscribed' },
        { action: 'subscribe', name: 'news.local', outcome: 'subscribed' },
        { action: 'subscribe', name: 'news.local', outcome: 'subscribed' },
        { action: 'publish', name: 'news.local', outcome: 'published' },
        { action: 'unsubscribe', name: 'news.>', outcome: 'unsubscribed' },
        { action: 'delete', name: 'news.unheard-of', outcome: 'unchanged' },
      ],
      routing: [
        { clusterId, epoch: 1, outcome: 'unchanged', reAddressed: 0, deadLettered: 0 },
        { clusterId: 'cl_unheard-of', epoch: null, outcome: 'refused', error: { code: 'not_found' } },
      ],
    });
    const view = await findOperation(desk.stores.clusters, 'every-address');
    expect(view).toMatchObject({ state: 'completed', kind: 'COMMUNICATION', result });
    const [lead] = (await desk.wayOfMessage('every-address.m1')).deliveries;
    for (const id of members) {
      expect(await desk.typesOf(id)).toEqual([
        ...(id === 'every-0' ? ['one'] : []),
        ...(id === lead?.recipient ? ['a-role'] : []),
        ...['here', 'both', 'everywhere', 'told'],
      ]);
    }
    const ofSecond = await Promise.all(second.members.map(desk.typesOf));
    for (const types of ofSecond) expect(types.slice(0, 2)).toEqual(['both', 'everywhere']);
    expect(ofSecond.flatMap((types) => types.slice(2))).toEqual(['published']);
    expect(await desk.typesOf(listener)).toEqual(['a-capability', 'published']);
    expect(await checkInvariants(desk.stores)).toEqual([]);
  });

  it('gives the same result for the same request id, from rows, and sends nothing again', async () => {
    const to = await inbox('once');
    const request = { requestId: 'once', messages: [{ to: { agent: to }, type: 'note', data: 1 }] };
    const first = await desk.worker.manager.manageCommunication(request);
    expect(await desk.run(request, 'communication/once-more')).toEqual(first);
    expect(await desk.ackMailOf(to)).toBe(1);
    await expect(desk.run({ ...request, topics: [{ action: 'create', name: 'a' }] })).rejects.toMatchObject({
      cause: { type: 'IdempotencyConflict' },
    });
  });

  it('is started by any Temporal client with one JSON object, and takes its name from the workflow id', async () => {
    const to = await inbox('raw');
    const result = await desk.run({ messages: [{ to: { agent: to }, type: 'note', data: 1 }] }, 'communication/raw');
    expect(result.messages).toEqual({ accepted: 1, refused: 0, deadLettered: 0, problems: [] });
    expect(await findOperation(desk.stores.clusters, 'raw')).toMatchObject({
      state: 'completed',
      requestedBy: 'temporal',
    });
    const [leased] = await desk.mailOf(to);
    expect(leased).toMatchObject({ data: '1', delivery: { message: { id: 'raw.m0', source: '/temporal' } } });
  });

  it('refuses an invalid request with every problem, and writes nothing', async () => {
    const request = {
      messages: [{ to: { topic: 'a.*' }, type: 'cluster.joined', data: 1 }],
      broadcasts: [{ to: { cluster: 'c' }, type: 'x', data: 1, require: 'most' }],
      topics: [{ action: 'burn', name: 'a' }],
      typo: true,
    };
    const failure = await desk.run(request, 'communication/bad').catch((error: unknown) => error);
    const { type, nonRetryable, details } = (failure as { cause: Record<string, unknown> }).cause;
    expect({ type, nonRetryable }).toEqual({ type: 'InvalidRequest', nonRetryable: true });
    const paths = ((details as [{ path: string }[]])[0] ?? []).map(({ path }) => path);
    expect(paths.sort()).toEqual([
      '(body)',
      'broadcasts.0.require',
      'messages.0.to.topic',
      'messages.0.type',
      'topics.0.action',
    ]);
    expect(await findOperation(desk.stores.clusters, 'bad')).toBeUndefined();
    await expect(desk.run({})).rejects.toMatchObject({
      cause: { message: expect.stringContaining('is empty') },
    });
  });

  it('takes messages and broadcasts from a stored batch, and refuses one that is not there', async () => {
    const to = await inbox('batched');
    const parts = { messages: [{ to: { agent: to }, type: 'note', data: 'x'.repeat(100_000) }], broadcasts: [] };
    await storeBatch(desk.stores.communication, { id: 'batch-1', owner: 'temporal', parts });
    expect((await desk.run({ batchId: 'batch-1' })).messages).toMatchObject({ accepted: 1, refused: 0 });
    expect(await desk.ackMailOf(to)).toBe(1);
    const operationId = `lost-${randomUUID()}`;
    await expect(desk.run({ batchId: 'batch-0' }, `communication/${operationId}`)).rejects.toMatchObject({
      cause: { type: 'NotFound' },
    });
    expect(await findOperation(desk.stores.clusters, operationId)).toBeUndefined();
  });

  it('keeps a history of the same length for one message as for a thousand', async () => {
    const to = await inbox('many');
    const messages = (count: number) =>
      Array.from({ length: count }, () => ({ to: { agent: to }, type: 'note', data: 1 }));
    await desk.run({ messages: messages(1) }, 'communication/one');
    await desk.run({ messages: messages(1_000) }, 'communication/thousand');
    await storeBatch(desk.stores.communication, {
      id: 'batch-of-a-thousand',
      owner: 'temporal',
      parts: { messages: messages(1_000), broadcasts: [] },
    });
    await desk.run({ batchId: 'batch-of-a-thousand' }, 'communication/stored');
    const [one, thousand, stored] = await Promise.all(
      ['one', 'thousand', 'stored'].map((id) => desk.eventsOf(`communication/${id}`)),
    );
    expect(thousand).toHaveLength(one?.length ?? 0);
    expect(stored).toHaveLength(one?.length ?? 0);
    const waiting = await desk.stores.communication
      .selectFrom('deliveries')
      .innerJoin('inboxes', 'inboxes.no', 'deliveries.inboxNo')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('inboxes.agentId', '=', to)
      .executeTakeFirstOrThrow();
    expect(waiting.count).toBe(2_001);
  });
});
