import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommunicationRequest } from '../../src/contracts/communication.js';
import type { NewMessage } from '../../src/contracts/messages.js';
import { communicationSteps } from '../../src/contracts/steps.js';
import { findOperation, stepsOf } from '../../src/stores/clusters/index.js';
import { openInbox, storeBatch } from '../../src/stores/communication/index.js';
import { checkInvariants } from '../support/checker.js';
import { activitiesOf } from '../support/clusters.js';
import { openCommunicationFixture, type CommunicationFixture } from './communication-fixture.js';

let fixture: CommunicationFixture;

beforeAll(async () => {
  fixture = await openCommunicationFixture();
});
afterAll(() => fixture?.close());

async function inbox(id: string, capabilities: readonly string[] = []): Promise<string> {
  await openInbox(fixture.stores.communication, id, capabilities);
  return id;
}

describe('manageCommunication', () => {
  it('manageCommunication runs its four steps in order for every kind of address', async () => {
    const { clusterId, members } = await fixture.cluster('every', {
      roles: [{ name: 'lead', capability: 'every', max: 1 }],
    });
    const second = await fixture.cluster('second');
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
    const result = await fixture.worker.manager.manageCommunication(request);
    expect(await activitiesOf(fixture.worker.client, 'communication/every-address')).toEqual(communicationSteps);
    expect((await stepsOf(fixture.stores.clusters, 'every-address')).map(({ step }) => step)).toEqual(
      communicationSteps,
    );
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
    const view = await findOperation(fixture.stores.clusters, 'every-address');
    expect(view).toMatchObject({ state: 'completed', kind: 'COMMUNICATION', result });
    const [lead] = (await fixture.wayOfMessage('every-address.m1')).deliveries;
    for (const id of members) {
      expect(await fixture.typesOf(id)).toEqual([
        ...(id === 'every-0' ? ['one'] : []),
        ...(id === lead?.recipient ? ['a-role'] : []),
        ...['here', 'both', 'everywhere', 'told'],
      ]);
    }
    const ofSecond = await Promise.all(second.members.map(fixture.typesOf));
    for (const types of ofSecond) expect(types.slice(0, 2)).toEqual(['both', 'everywhere']);
    expect(ofSecond.flatMap((types) => types.slice(2))).toEqual(['published']);
    expect(await fixture.typesOf(listener)).toEqual(['a-capability', 'published']);
    expect(await checkInvariants(fixture.stores)).toEqual([]);
  });

  it('manageCommunication returns the stored result for a repeated request id and sends nothing again', async () => {
    const to = await inbox('once');
    const request = { requestId: 'once', messages: [{ to: { agent: to }, type: 'note', data: 1 }] };
    const first = await fixture.worker.manager.manageCommunication(request);
    expect(await fixture.run(request, 'communication/once-more')).toEqual(first);
    expect(await fixture.ackInbox(to)).toBe(1);
    await expect(fixture.run({ ...request, topics: [{ action: 'create', name: 'a' }] })).rejects.toMatchObject({
      cause: { type: 'IdempotencyConflict' },
    });
  });

  it('any Temporal client can start manageCommunication with one JSON object, and the workflow id is its request id', async () => {
    const to = await inbox('raw');
    const result = await fixture.run({ messages: [{ to: { agent: to }, type: 'note', data: 1 }] }, 'communication/raw');
    expect(result.messages).toEqual({ accepted: 1, refused: 0, deadLettered: 0, problems: [] });
    expect(await findOperation(fixture.stores.clusters, 'raw')).toMatchObject({
      state: 'completed',
      requestedBy: 'temporal',
    });
    const [leased] = await fixture.inboxOf(to);
    expect(leased).toMatchObject({ data: '1', delivery: { message: { id: 'raw.m0', source: '/temporal' } } });
  });

  it('refuses an invalid request with every problem, and writes nothing', async () => {
    const request = {
      messages: [{ to: { topic: 'a.*' }, type: 'cluster.joined', data: 1 }],
      broadcasts: [{ to: { cluster: 'c' }, type: 'x', data: 1, require: 'most' }],
      topics: [{ action: 'burn', name: 'a' }],
      typo: true,
    };
    const failure = await fixture.run(request, 'communication/bad').catch((error: unknown) => error);
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
    expect(await findOperation(fixture.stores.clusters, 'bad')).toBeUndefined();
    await expect(fixture.run({})).rejects.toMatchObject({
      cause: { message: expect.stringContaining('is empty') },
    });
  });

  it('manageCommunication sends messages and broadcasts of a stored batch, and refuses an unknown batch', async () => {
    const to = await inbox('batched');
    const parts = { messages: [{ to: { agent: to }, type: 'note', data: 'x'.repeat(100_000) }], broadcasts: [] };
    await storeBatch(fixture.stores.communication, { id: 'batch-1', owner: 'temporal', parts });
    expect((await fixture.run({ batchId: 'batch-1' })).messages).toMatchObject({ accepted: 1, refused: 0 });
    expect(await fixture.ackInbox(to)).toBe(1);
    const operationId = `lost-${randomUUID()}`;
    await expect(fixture.run({ batchId: 'batch-0' }, `communication/${operationId}`)).rejects.toMatchObject({
      cause: { type: 'NotFound' },
    });
    expect(await findOperation(fixture.stores.clusters, operationId)).toBeUndefined();
  });

  it('the history of manageCommunication is as long for one message as for a thousand', async () => {
    const to = await inbox('many');
    const messages = (count: number) =>
      Array.from({ length: count }, () => ({ to: { agent: to }, type: 'note', data: 1 }));
    await fixture.run({ messages: messages(1) }, 'communication/one');
    await fixture.run({ messages: messages(1_000) }, 'communication/thousand');
    await storeBatch(fixture.stores.communication, {
      id: 'batch-of-a-thousand',
      owner: 'temporal',
      parts: { messages: messages(1_000), broadcasts: [] },
    });
    await fixture.run({ batchId: 'batch-of-a-thousand' }, 'communication/stored');
    const [one, thousand, stored] = await Promise.all(
      ['one', 'thousand', 'stored'].map((id) => fixture.eventsOf(`communication/${id}`)),
    );
    expect(thousand).toHaveLength(one?.length ?? 0);
    expect(stored).toHaveLength(one?.length ?? 0);
    const waiting = await fixture.stores.communication
      .selectFrom('deliveries')
      .innerJoin('inboxes', 'inboxes.no', 'deliveries.inboxNo')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('inboxes.agentId', '=', to)
      .executeTakeFirstOrThrow();
    expect(waiting.count).toBe(2_001);
  });
});
