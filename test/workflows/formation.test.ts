import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formationSteps } from '../../src/contracts/steps.js';
import { answerInvitation, clusterView, findAgent, findOperation, stepsOf } from '../../src/stores/clusters/index.js';
import { leaseDeliveries, routingTable } from '../../src/stores/communication/index.js';
import { findAccount } from '../../src/stores/resources/index.js';
import { activitiesOf } from '../support/clusters.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgent, addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { communicationSettings } from '../support/messaging.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

let stores: TestDatabases;
let worker: TestWorker;

beforeAll(async () => {
  stores = await createTestDatabases();
  worker = await startTestWorker(stores, { settings: { invitationTimeoutSeconds: 1, invitationTries: 2 } });
});
afterAll(async () => {
  await worker?.stop();
  await stores?.drop();
});

describe('formCluster', () => {
  it('formCluster runs its four steps in order and informs every member', async () => {
    await addAgents(stores.clusters, 5, { capabilities: ['plan'] }, 'plain');
    const result = await worker.manager.formCluster({
      requestId: 'plain-1',
      name: 'plain',
      requiredCapabilities: ['plan'],
      size: { desired: 5 },
    });
    expect(result.members).toHaveLength(5);
    expect(result).toMatchObject({ clusterId: 'cl_plain-1', epoch: 1 });
    expect(await activitiesOf(worker.client, 'formation/plain-1')).toEqual(formationSteps);
    expect(await clusterView(stores.clusters, 'cl_plain-1')).toMatchObject({ state: 'active', epoch: 1 });
    expect(await findOperation(stores.clusters, 'plain-1')).toMatchObject({ state: 'completed', result });
    expect(await findAccount(stores.resources, 'cl_plain-1')).toMatchObject({ state: 'open' });
    expect((await routingTable(stores.communication, 'cl_plain-1'))?.members).toHaveLength(5);
    for (const { agentId } of result.members) {
      const [leased] = await leaseDeliveries(stores.communication, agentId, 10, communicationSettings);
      expect(leased?.delivery.message).toMatchObject({ type: 'cluster.joined' });
      expect(JSON.parse(leased?.data ?? '')).toMatchObject({ epoch: 1, members: result.members });
    }
  });

  it('formCluster returns the stored result for a repeated request id when Temporal runs it again', async () => {
    const request = { requestId: 'plain-1', name: 'plain', requiredCapabilities: ['plan'], size: { desired: 5 } };
    const before = await stepsOf(stores.clusters, 'plain-1');
    const again = await worker.manager.formCluster(request);
    expect(again.clusterId).toBe('cl_plain-1');
    expect(await stepsOf(stores.clusters, 'plain-1')).toEqual(before);
  });

  it('formCluster refuses another request under a used id and does not change the first', async () => {
    await expect(worker.manager.formCluster({ requestId: 'plain-1', name: 'other' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    expect(await clusterView(stores.clusters, 'cl_plain-1')).toMatchObject({ state: 'active' });
  });

  it('refuses an invalid request with every problem, and writes nothing', async () => {
    const request = { requestId: 'bad', name: 'bad', size: { min: 1, max: 99 }, typo: true } as never;
    await expect(worker.manager.formCluster(request)).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await findOperation(stores.clusters, 'bad')).toBeUndefined();
  });

  it('formCluster refuses a request beyond the fleet, names the shortfall and reserves no agent', async () => {
    await addAgents(stores.clusters, 2, { capabilities: ['rare'] }, 'rare');
    await expect(
      worker.manager.formCluster({
        requestId: 'lacking',
        name: 'lacking',
        requiredCapabilities: ['rare', 'unheard-of'],
      }),
    ).rejects.toMatchObject({ code: 'insufficient_agents', message: expect.stringContaining('unheard-of') });
    expect(await findOperation(stores.clusters, 'lacking')).toMatchObject({ state: 'refused' });
    expect((await findAgent(stores.clusters, 'rare-0'))?.clusters).toEqual([]);
  });

  it('formCluster invites agents with acceptance by invitation, and replaces one that declines by an alternate', async () => {
    await addAgents(stores.clusters, 4, { capabilities: ['ask'], acceptance: 'ask' }, 'ask');
    const forming = worker.manager.formCluster({ requestId: 'asked', name: 'asked', requiredCapabilities: ['ask'] });
    const declined = await waitFor('an invitation', async () => {
      const view = await clusterView(stores.clusters, 'cl_asked');
      return view?.members[0]?.agentId;
    });
    const invited = async (agentId: string) => {
      const deliveries = await leaseDeliveries(stores.communication, agentId, 10, {
        ...communicationSettings,
        leaseSeconds: 1,
        retryDelaysSeconds: [0],
      });
      return deliveries.some(({ delivery }) => delivery.message.type === 'cluster.invitation');
    };
    await waitFor('its invitation', () => invited(declined));
    const { workflowId } = await answerInvitation(stores.clusters, 'cl_asked', declined, { answer: 'decline' });
    await worker.manager.wake(workflowId);
    for (const agentId of ['ask-0', 'ask-1', 'ask-2', 'ask-3'].filter((id) => id !== declined)) {
      await waitFor(`the invitation of ${agentId}`, () => invited(agentId));
      await answerInvitation(stores.clusters, 'cl_asked', agentId, { answer: 'accept' });
      await worker.manager.wake(workflowId);
    }
    const result = await forming;
    expect(result.members.map((member) => member.agentId)).not.toContain(declined);
    expect(result.members).toHaveLength(3);
    expect((await findAgent(stores.clusters, declined))?.clusters).toEqual([]);
  });

  it('formCluster compensates all steps in reverse order when too few agents accept', async () => {
    await addAgents(stores.clusters, 3, { capabilities: ['mute'], acceptance: 'ask' }, 'mute');
    await expect(
      worker.manager.formCluster({ requestId: 'mute', name: 'mute', requiredCapabilities: ['mute'] }),
    ).rejects.toMatchObject({ code: 'invitations_declined' });
    const undone = (await activitiesOf(worker.client, 'formation/mute')).slice(-4);
    expect(undone).toEqual(['closeConnections', 'withdrawCluster', 'releaseAgents', 'settleOperation']);
    expect(await findOperation(stores.clusters, 'mute')).toMatchObject({ state: 'compensated' });
    expect(await clusterView(stores.clusters, 'cl_mute')).toMatchObject({ state: 'failed', members: [] });
    expect((await findAgent(stores.clusters, 'mute-0'))?.clusters).toEqual([]);
  });

  it('formCluster compensates its steps when it is cancelled', async () => {
    await addAgents(stores.clusters, 3, { capabilities: ['slow'], acceptance: 'ask' }, 'slow');
    const { workflowId } = await worker.manager.startFormation({
      requestId: 'cancelled',
      name: 'cancelled',
      requiredCapabilities: ['slow'],
    });
    await waitFor('the cluster', () => clusterView(stores.clusters, 'cl_cancelled'));
    await worker.manager.cancel(workflowId);
    await expect(worker.manager.result(workflowId)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await findOperation(stores.clusters, 'cancelled')).toMatchObject({ state: 'cancelled' });
    expect((await findAgent(stores.clusters, 'slow-0'))?.clusters).toEqual([]);
  });

  it('queued formations wait until the formation interval finds agents, and are served in order', async () => {
    const queued = (requestId: string) =>
      worker.manager.formCluster({
        requestId,
        name: requestId,
        requiredCapabilities: ['later'],
        onInsufficient: 'queue',
      });
    const first = queued('queued-1');
    await waitFor(
      'the first to queue',
      async () => (await findOperation(stores.clusters, 'queued-1'))?.state === 'queued',
    );
    const second = queued('queued-2');
    await waitFor(
      'the second to queue',
      async () => (await findOperation(stores.clusters, 'queued-2'))?.state === 'queued',
    );
    await addAgents(stores.clusters, 3, { capabilities: ['later'] }, 'later');
    const plan = await worker.manager.runFormationInterval({ dryRun: true });
    expect(plan.lines.join('\n')).toContain('queued-1');
    const report = await worker.manager.runFormationInterval({ dryRun: false });
    expect(report.served).toEqual(['queued-1']);
    expect((await first).members).toHaveLength(3);
    expect((await findOperation(stores.clusters, 'queued-2'))?.state).toBe('queued');
    await addAgents(stores.clusters, 3, { capabilities: ['later'] }, 'later-still');
    await worker.manager.runFormationInterval({ dryRun: false });
    expect((await second).members).toHaveLength(3);
  });
});

describe('repairCluster', () => {
  it('repairCluster replaces lost members and keeps the others, at the next epoch', async () => {
    await addAgents(stores.clusters, 3, { capabilities: ['mend'] }, 'mend');
    await worker.manager.formCluster({ requestId: 'mend', name: 'mend', requiredCapabilities: ['mend'] });
    await stores.clusters
      .updateTable('agents')
      .set({ leaseExpiresAt: new Date(0) })
      .where('id', '=', 'mend-1')
      .execute();
    await addAgent(stores.clusters, { id: 'mend-new', capabilities: ['mend'] });
    const quiet = await worker.manager.runFormationInterval({ dryRun: false });
    expect(quiet.repaired, 'no server has been up long enough to judge silence').toEqual([]);
    await stores.clusters
      .insertInto('servers')
      .values({ id: 'srv', startedAt: new Date(Date.now() - 600_000), seenAt: new Date() })
      .execute();
    const report = await worker.manager.runFormationInterval({ dryRun: false });
    expect(report.repaired).toEqual(['cl_mend']);
    const view = await clusterView(stores.clusters, 'cl_mend');
    expect(view).toMatchObject({ state: 'active', epoch: 2 });
    expect(view?.members.map((member) => member.agentId)).toEqual(['mend-0', 'mend-2', 'mend-new']);
    const [, changed] = await leaseDeliveries(stores.communication, 'mend-0', 10, communicationSettings);
    expect(changed?.delivery.message).toMatchObject({ type: 'cluster.changed', epoch: 2 });
  });
});

describe('dissolveCluster', () => {
  it('dissolveCluster undoes the steps of a formation in reverse order and releases every member', async () => {
    await addAgents(stores.clusters, 3, { capabilities: ['brief'] }, 'brief');
    await worker.manager.formCluster({ requestId: 'brief', name: 'brief', requiredCapabilities: ['brief'] });
    const workflowId = await worker.manager.startDissolution({
      operationId: 'dis-1',
      clusterId: 'cl_brief',
      drainSeconds: 0,
    });
    await worker.manager.result(workflowId);
    expect(await clusterView(stores.clusters, 'cl_brief')).toMatchObject({ state: 'dissolved', members: [] });
    expect(await findAccount(stores.resources, 'cl_brief')).toMatchObject({ state: 'closed' });
    expect(await findOperation(stores.clusters, 'dis-1')).toMatchObject({ state: 'completed' });
    expect((await findAgent(stores.clusters, 'brief-0'))?.clusters).toEqual([]);
  });
});
