import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { retireInbox } from '../../src/messaging/retire-inbox.js';
import { findOperation, markAgentLeft, stepsOf } from '../../src/stores/clusters/index.js';
import { openInbox } from '../../src/stores/communication/index.js';
import { checkInvariants } from '../support/checker.js';
import { addAgent, addAgents } from '../support/fleet.js';
import { messagingOf } from '../support/messaging.js';
import { waitFor } from '../support/wait-for.js';
import { openDesk, type Desk } from './communication-fixture.js';

let desk: Desk;

beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk?.close());

describe('broadcasts that require acks', () => {
  it('are met as soon as enough have acked, before the deadline', async () => {
    const { clusterId, members } = await desk.cluster('prompt');
    const to = { cluster: clusterId };
    const running = desk.worker.manager.manageCommunication({
      requestId: 'prompt-receipts',
      broadcasts: (['none', 'any', 'quorum', 'all'] as const).map((require) => ({
        ...{ to, type: `need-${require}`, data: null, require },
        ...(require === 'none' ? {} : { deadlineSeconds: 600 }),
      })),
    });
    await desk.waitsForAcks('prompt-receipts');
    for (const id of members) expect(await desk.ackMailOf(id)).toBe(4);
    const { broadcasts } = await running;
    const told = broadcasts.map((receipt) => ('state' in receipt ? [receipt.require, receipt.state] : receipt));
    expect(told).toEqual([
      ['none', 'met'],
      ['any', 'met'],
      ['quorum', 'met'],
      ['all', 'met'],
    ]);
    expect(broadcasts[3]).toMatchObject({ matched: 3, delivered: 3, acked: 3, pending: 0, clusterId, epoch: 1 });
  });

  it('are unmet at the deadline, which a durable timer waits for, and stay as they were then', async () => {
    const { clusterId, members } = await desk.cluster('tardy');
    const to = { cluster: clusterId };
    const running = desk.worker.manager.manageCommunication({
      requestId: 'tardy-receipts',
      broadcasts: (['any', 'quorum', 'all'] as const).map((require) => ({
        ...{ to, type: `need-${require}`, data: null, require, deadlineSeconds: 2 },
      })),
    });
    await waitFor('the first ack', async () => (await desk.ackMailOf(members[0] ?? '')) > 0);
    const { broadcasts } = await running;
    expect(broadcasts).toMatchObject([
      { require: 'any', state: 'met', matched: 3, acked: expect.any(Number) },
      { require: 'quorum', state: 'unmet', matched: 3, delivered: 1, acked: 1, pending: 2 },
      { require: 'all', state: 'unmet', matched: 3, delivered: 1, acked: 1, pending: 2 },
    ]);
    for (const id of members.slice(1)) await desk.ackMailOf(id);
    const again = await desk.run({ requestId: 'tardy-receipts', broadcasts: await desk.requested('tardy-receipts') });
    expect(again.broadcasts).toEqual(broadcasts);
    expect(await checkInvariants(desk.stores)).toEqual([]);
  });

  it('tell of those that were refused beside those that were waited for', async () => {
    const { clusterId, members } = await desk.cluster('mixed');
    const to = { cluster: clusterId };
    const running = desk.worker.manager.manageCommunication({
      requestId: 'mixed-receipts',
      broadcasts: [
        { to, type: 'fine', data: null, require: 'all', deadlineSeconds: 600 },
        { to, type: 'too-large', data: 'x'.repeat(256 * 1024), require: 'all' },
      ],
    });
    await desk.waitsForAcks('mixed-receipts');
    for (const id of members) expect(await desk.ackMailOf(id)).toBe(1);
    const { broadcasts } = await running;
    expect(broadcasts).toHaveLength(2);
    expect(broadcasts).toContainEqual({
      messageId: 'mixed-receipts.b1',
      error: { code: 'body_too_large', detail: expect.stringContaining('262144 are allowed') },
    });
    expect(broadcasts).toContainEqual(expect.objectContaining({ messageId: 'mixed-receipts.b0', state: 'met' }));
  });

  it('end with a cancellation: what was sent stays sent, the other steps are not begun', async () => {
    const { clusterId, members } = await desk.cluster('halted');
    const { workflowId } = await desk.worker.manager.startCommunication({
      requestId: 'halted-receipts',
      broadcasts: [{ to: { cluster: clusterId }, type: 'wait', data: null, require: 'all', deadlineSeconds: 600 }],
      topics: [{ action: 'create', name: 'never.created' }],
    });
    await desk.waitsForAcks('halted-receipts');
    await desk.worker.manager.cancel(workflowId);
    await expect(desk.worker.manager.result(workflowId)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await findOperation(desk.stores.clusters, 'halted-receipts')).toMatchObject({
      state: 'cancelled',
      error: { code: 'cancelled' },
    });
    expect((await stepsOf(desk.stores.clusters, 'halted-receipts')).map(({ step }) => step)).toEqual(['routeMessages']);
    for (const id of members) expect(await desk.ackMailOf(id)).toBe(1);
    expect(await checkInvariants(desk.stores)).toEqual([]);
  });
});

describe('mail in flight when its recipient goes away', () => {
  it('goes to the one who has the role now, or to the dead letters, when the cluster is repaired', async () => {
    const { clusterId } = await desk.cluster('mended', { roles: [{ name: 'solo', capability: 'mended', max: 1 }] });
    const table = await desk.stores.communication
      .selectFrom('routedMembers')
      .selectAll()
      .where('clusterId', '=', clusterId)
      .execute();
    const lost = table.find(({ roles }) => (roles as readonly string[]).includes('solo'))?.agentId ?? '';
    await desk.run({
      requestId: 'in-flight',
      messages: [
        { id: 'for-the-role', to: { role: 'solo', cluster: clusterId }, type: 'task', data: 1 },
        { id: 'for-all', to: { cluster: clusterId }, type: 'news', data: 1 },
        { id: 'for-itself', to: { agent: lost }, type: 'letter', data: 1 },
      ],
    });
    await addAgent(desk.stores.clusters, { id: 'mended-new', capabilities: ['mended'] });
    await openInbox(desk.stores.communication, 'mended-new', ['mended']);
    await desk.stores.clusters
      .updateTable('agents')
      .set({ leaseExpiresAt: new Date(0) })
      .where('id', '=', lost)
      .execute();
    await desk.stores.clusters
      .insertInto('servers')
      .values({ id: 'srv', startedAt: new Date(Date.now() - 600_000), seenAt: new Date() })
      .execute();
    const { repaired } = await desk.worker.manager.runFormationInterval({ dryRun: false });
    expect(repaired).toContain(clusterId);
    const now = await desk.stores.communication
      .selectFrom('routedMembers')
      .selectAll()
      .where('clusterId', '=', clusterId)
      .execute();
    const solo = now.find(({ roles }) => (roles as readonly string[]).includes('solo'))?.agentId;
    expect(solo).toBeDefined();
    expect(solo).not.toBe(lost);
    const role = await desk.wayOfMessage('for-the-role');
    expect(role.deliveries).toMatchObject([
      { recipient: lost, state: 're_addressed' },
      { recipient: solo, state: 'waiting', via: 'role:solo' },
    ]);
    const letters = await desk.stores.communication
      .selectFrom('deadLetters')
      .selectAll()
      .where('recipient', '=', lost)
      .execute();
    expect(letters).toMatchObject([{ reason: 'member_removed' }, { reason: 'member_removed' }]);
    expect((await desk.wayOfMessage('for-itself')).deliveries).toMatchObject([{ recipient: lost, state: 'dead' }]);
    const routing = await desk.run({ routing: [{ clusterId }] });
    expect(routing.routing).toMatchObject([{ epoch: 2, outcome: 'unchanged', reAddressed: 0, deadLettered: 0 }]);
    expect(await checkInvariants(desk.stores)).toEqual([]);
  });

  it('goes to another who has the capability, or to the dead letters, when the agent leaves', async () => {
    const [leaving = '', staying = ''] = await addAgents(
      desk.stores.clusters,
      2,
      { capabilities: ['translate'] },
      'able',
    );
    await openInbox(desk.stores.communication, leaving, ['translate']);
    await desk.run({
      messages: [
        { id: 'a-task', to: { capability: 'translate' }, type: 'task', data: 1 },
        { id: 'a-letter', to: { agent: leaving }, type: 'letter', data: 1 },
      ],
    });
    await openInbox(desk.stores.communication, staying, ['translate']);
    await markAgentLeft(desk.stores.clusters, leaving);
    await retireInbox({ ...messagingOf(desk.stores.communication), clusters: desk.stores.clusters }, leaving);
    expect((await desk.wayOfMessage('a-task')).deliveries).toMatchObject([
      { recipient: leaving, state: 're_addressed' },
      { recipient: staying, state: 'waiting', via: 'capability:translate' },
    ]);
    expect((await desk.wayOfMessage('a-letter')).deliveries).toMatchObject([{ recipient: leaving, state: 'dead' }]);
    const letters = await desk.stores.communication
      .selectFrom('deadLetters')
      .selectAll()
      .where('recipient', '=', leaving)
      .execute();
    expect(letters).toMatchObject([{ reason: 'recipient_left' }]);
    expect(await desk.typesOf(staying)).toEqual(['task']);
    expect(await checkInvariants(desk.stores)).toEqual([]);
  });
});
