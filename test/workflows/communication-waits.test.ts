import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { retireInbox } from '../../src/messaging/agent-inbox.js';
import { findOperation, markAgentLeft, stepsOf } from '../../src/stores/clusters/index.js';
import { openInbox } from '../../src/stores/communication/index.js';
import { checkInvariants } from '../support/checker.js';
import { addAgent, addAgents } from '../support/fleet.js';
import { messagingOf } from '../support/messaging.js';
import { waitFor } from '../support/wait-for.js';
import { openCommunicationFixture, type CommunicationFixture } from './communication-fixture.js';

let fixture: CommunicationFixture;

beforeAll(async () => {
  fixture = await openCommunicationFixture();
});
afterAll(() => fixture?.close());

describe('broadcasts that require acks', () => {
  it('broadcast receipts are met as soon as enough recipients have acked, before the deadline', async () => {
    const { clusterId, members } = await fixture.cluster('prompt');
    const to = { cluster: clusterId };
    const running = fixture.worker.manager.manageCommunication({
      requestId: 'prompt-receipts',
      broadcasts: (['none', 'any', 'quorum', 'all'] as const).map((require) => ({
        ...{ to, type: `need-${require}`, data: null, require },
        ...(require === 'none' ? {} : { deadlineSeconds: 600 }),
      })),
    });
    await fixture.waitsForAcks('prompt-receipts');
    for (const id of members) expect(await fixture.ackInbox(id)).toBe(4);
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

  it('broadcast receipts without enough acks are unmet at the deadline and do not change later', async () => {
    const { clusterId, members } = await fixture.cluster('tardy');
    const to = { cluster: clusterId };
    const running = fixture.worker.manager.manageCommunication({
      requestId: 'tardy-receipts',
      broadcasts: (['any', 'quorum', 'all'] as const).map((require) => ({
        ...{ to, type: `need-${require}`, data: null, require, deadlineSeconds: 2 },
      })),
    });
    await waitFor('the first ack', async () => (await fixture.ackInbox(members[0] ?? '')) > 0);
    const { broadcasts } = await running;
    expect(broadcasts).toMatchObject([
      { require: 'any', state: 'met', matched: 3, acked: expect.any(Number) },
      { require: 'quorum', state: 'unmet', matched: 3, delivered: 1, acked: 1, pending: 2 },
      { require: 'all', state: 'unmet', matched: 3, delivered: 1, acked: 1, pending: 2 },
    ]);
    for (const id of members.slice(1)) await fixture.ackInbox(id);
    const again = await fixture.run({
      requestId: 'tardy-receipts',
      broadcasts: await fixture.requested('tardy-receipts'),
    });
    expect(again.broadcasts).toEqual(broadcasts);
    expect(await checkInvariants(fixture.stores)).toEqual([]);
  });

  it('the result lists refused broadcasts together with those that were waited for', async () => {
    const { clusterId, members } = await fixture.cluster('mixed');
    const to = { cluster: clusterId };
    const running = fixture.worker.manager.manageCommunication({
      requestId: 'mixed-receipts',
      broadcasts: [
        { to, type: 'fine', data: null, require: 'all', deadlineSeconds: 600 },
        { to, type: 'too-large', data: 'x'.repeat(256 * 1024), require: 'all' },
      ],
    });
    await fixture.waitsForAcks('mixed-receipts');
    for (const id of members) expect(await fixture.ackInbox(id)).toBe(1);
    const { broadcasts } = await running;
    expect(broadcasts).toHaveLength(2);
    expect(broadcasts).toContainEqual({
      messageId: 'mixed-receipts.b1',
      error: { code: 'body_too_large', detail: expect.stringContaining('262144 are allowed') },
    });
    expect(broadcasts).toContainEqual(expect.objectContaining({ messageId: 'mixed-receipts.b0', state: 'met' }));
  });

  it('cancelling a wait for acks keeps the sent messages and starts no later step', async () => {
    const { clusterId, members } = await fixture.cluster('halted');
    const { workflowId } = await fixture.worker.manager.startCommunication({
      requestId: 'halted-receipts',
      broadcasts: [{ to: { cluster: clusterId }, type: 'wait', data: null, require: 'all', deadlineSeconds: 600 }],
      topics: [{ action: 'create', name: 'never.created' }],
    });
    await fixture.waitsForAcks('halted-receipts');
    await fixture.worker.manager.cancel(workflowId);
    await expect(fixture.worker.manager.result(workflowId)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await findOperation(fixture.stores.clusters, 'halted-receipts')).toMatchObject({
      state: 'cancelled',
      error: { code: 'cancelled' },
    });
    expect((await stepsOf(fixture.stores.clusters, 'halted-receipts')).map(({ step }) => step)).toEqual([
      'routeMessages',
    ]);
    for (const id of members) expect(await fixture.ackInbox(id)).toBe(1);
    expect(await checkInvariants(fixture.stores)).toEqual([]);
  });
});

describe('messages in flight when their recipient leaves', () => {
  it('open messages of a lost member go to the new holder of its role, or are dead-lettered, when the cluster is repaired', async () => {
    const { clusterId } = await fixture.cluster('mended', { roles: [{ name: 'solo', capability: 'mended', max: 1 }] });
    const table = await fixture.stores.communication
      .selectFrom('routedMembers')
      .selectAll()
      .where('clusterId', '=', clusterId)
      .execute();
    const lost = table.find(({ roles }) => (roles as readonly string[]).includes('solo'))?.agentId ?? '';
    await fixture.run({
      requestId: 'in-flight',
      messages: [
        { id: 'for-the-role', to: { role: 'solo', cluster: clusterId }, type: 'task', data: 1 },
        { id: 'for-all', to: { cluster: clusterId }, type: 'news', data: 1 },
        { id: 'for-itself', to: { agent: lost }, type: 'letter', data: 1 },
      ],
    });
    await addAgent(fixture.stores.clusters, { id: 'mended-new', capabilities: ['mended'] });
    await openInbox(fixture.stores.communication, 'mended-new', ['mended']);
    await fixture.stores.clusters
      .updateTable('agents')
      .set({ leaseExpiresAt: new Date(0) })
      .where('id', '=', lost)
      .execute();
    await fixture.stores.clusters
      .insertInto('servers')
      .values({ id: 'srv', startedAt: new Date(Date.now() - 600_000), seenAt: new Date() })
      .execute();
    const { repaired } = await fixture.worker.manager.runFormationInterval({ dryRun: false });
    expect(repaired).toContain(clusterId);
    const now = await fixture.stores.communication
      .selectFrom('routedMembers')
      .selectAll()
      .where('clusterId', '=', clusterId)
      .execute();
    const solo = now.find(({ roles }) => (roles as readonly string[]).includes('solo'))?.agentId;
    expect(solo).toBeDefined();
    expect(solo).not.toBe(lost);
    const role = await fixture.wayOfMessage('for-the-role');
    expect(role.deliveries).toMatchObject([
      { recipient: lost, state: 're_addressed' },
      { recipient: solo, state: 'waiting', via: 'role:solo' },
    ]);
    const letters = await fixture.stores.communication
      .selectFrom('deadLetters')
      .selectAll()
      .where('recipient', '=', lost)
      .execute();
    expect(letters).toMatchObject([{ reason: 'member_removed' }, { reason: 'member_removed' }]);
    expect((await fixture.wayOfMessage('for-itself')).deliveries).toMatchObject([{ recipient: lost, state: 'dead' }]);
    const routing = await fixture.run({ routing: [{ clusterId }] });
    expect(routing.routing).toMatchObject([{ epoch: 2, outcome: 'unchanged', reAddressed: 0, deadLettered: 0 }]);
    expect(await checkInvariants(fixture.stores)).toEqual([]);
  });

  it('open messages of an agent that leaves go to another agent with the capability, or are dead-lettered', async () => {
    const [leaving = '', staying = ''] = await addAgents(
      fixture.stores.clusters,
      2,
      { capabilities: ['translate'] },
      'able',
    );
    await openInbox(fixture.stores.communication, leaving, ['translate']);
    await fixture.run({
      messages: [
        { id: 'a-task', to: { capability: 'translate' }, type: 'task', data: 1 },
        { id: 'a-letter', to: { agent: leaving }, type: 'letter', data: 1 },
      ],
    });
    await openInbox(fixture.stores.communication, staying, ['translate']);
    await markAgentLeft(fixture.stores.clusters, leaving);
    await retireInbox({ ...messagingOf(fixture.stores.communication), clusters: fixture.stores.clusters }, leaving);
    expect((await fixture.wayOfMessage('a-task')).deliveries).toMatchObject([
      { recipient: leaving, state: 're_addressed' },
      { recipient: staying, state: 'waiting', via: 'capability:translate' },
    ]);
    expect((await fixture.wayOfMessage('a-letter')).deliveries).toMatchObject([{ recipient: leaving, state: 'dead' }]);
    const letters = await fixture.stores.communication
      .selectFrom('deadLetters')
      .selectAll()
      .where('recipient', '=', leaving)
      .execute();
    expect(letters).toMatchObject([{ reason: 'recipient_left' }]);
    expect(await fixture.typesOf(staying)).toEqual(['task']);
    expect(await checkInvariants(fixture.stores)).toEqual([]);
  });
});
