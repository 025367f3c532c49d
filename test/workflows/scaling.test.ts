import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AllocatedResources } from '../../src/activities/scaling/scaling-run.js';
import { scalingSteps } from '../../src/contracts/steps.js';
import { clusterView, findAgent, findOperation, stepsOf } from '../../src/stores/clusters/index.js';
import { leaseDeliveries, routingTable } from '../../src/stores/communication/index.js';
import {
  saveCapacityAnswer,
  findDecision,
  findCapacityRequest,
  listCapacityRequests,
  scalingMemories,
} from '../../src/stores/resources/index.js';
import { activitiesOf, clusterOf, membersOf, useSlots, type Fleet } from '../support/clusters.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { communicationSettings } from '../support/messaging.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, testSettings, type TestWorker } from '../support/worker.js';

let stores: TestDatabases;
let worker: TestWorker;
let fleet: Fleet;

beforeAll(async () => {
  stores = await createTestDatabases();
  worker = await startTestWorker(stores, {
    settings: { scaling: { ...testSettings.scaling, newMemberSeconds: 0, soakGrowSeconds: 0, soakShrinkSeconds: 0 } },
  });
  fleet = { clusters: stores.clusters, manager: worker.manager };
});
afterAll(async () => {
  await worker?.stop();
  await stores?.drop();
});

describe('scaleCluster', () => {
  it('a cluster that needs no change is assessed and left as it is', async () => {
    const clusterId = await clusterOf(fleet, 'calm', 4);
    await useSlots(stores.resources, await membersOf(stores.clusters, clusterId), 2.6);
    const result = await worker.manager.scaleCluster({ requestId: 'calm-scale', clusterId });
    expect(result).toMatchObject({
      clusterId,
      outcome: 'unchanged',
      from: 4,
      desired: 4,
      size: 4,
      joined: [],
      left: [],
    });
    expect(result.explanation).toContain('Stays at 4 members');
    expect(await activitiesOf(worker.client, 'scaling/calm-scale')).toEqual(['assessNeeds', 'settleScaling']);
    expect(await findOperation(stores.clusters, 'calm-scale')).toMatchObject({ state: 'completed', result });
    expect(await findDecision(stores.resources, result.decisionId)).toMatchObject({ outcome: 'unchanged', clusterId });
  });

  it('scaleCluster grows a cluster by what its usage needs, and informs old and new members of the next epoch', async () => {
    const clusterId = await clusterOf(fleet, 'busy', 4, { spare: 4 });
    const before = await membersOf(stores.clusters, clusterId);
    await useSlots(stores.resources, before, 3.6);
    const result = await worker.manager.scaleCluster({ requestId: 'busy-scale', clusterId });
    // ceil(4 x 0.9 / 0.65) = 6
    expect(result).toMatchObject({ outcome: 'scaled', from: 4, desired: 6, size: 6, epoch: 2, left: [] });
    expect(result.joined).toHaveLength(2);
    const members = await membersOf(stores.clusters, clusterId);
    expect(members).toEqual([...before, ...result.joined].sort());
    expect((await routingTable(stores.communication, clusterId))?.epoch).toBe(2);
    expect((await clusterView(stores.clusters, clusterId))?.size.desired).toBe(6);
    const mail = await leaseDeliveries(stores.communication, result.joined[0] ?? '', 10, communicationSettings);
    expect(mail.map(({ delivery }) => delivery.message.type)).toEqual(['cluster.joined']);
    expect(result.scoreAfter).toBeGreaterThan(0.9);
  });

  it('scaleCluster shrinks to the requested size and drains, informs and releases the victims', async () => {
    const clusterId = await clusterOf(fleet, 'wide', 6);
    const result = await worker.manager.scaleCluster({
      requestId: 'wide-scale',
      clusterId,
      desired: 4,
      drainSeconds: 1,
    });
    expect(result).toMatchObject({ outcome: 'scaled', from: 6, size: 4, epoch: 2, joined: [] });
    expect(result.left).toHaveLength(2);
    for (const id of result.left) {
      expect(await findAgent(stores.clusters, id)).toMatchObject({ clusters: [] });
      const mail = await leaseDeliveries(stores.communication, id, 10, communicationSettings);
      expect(mail.map(({ delivery }) => delivery.message.type)).toContain('cluster.changed');
    }
    expect((await routingTable(stores.communication, clusterId))?.members).toHaveLength(4);
  });

  it('scaleCluster clamps a size beyond the bounds, and reports the clamp', async () => {
    const clusterId = await clusterOf(fleet, 'small', 3);
    const result = await worker.manager.scaleCluster({ requestId: 'small-scale', clusterId, desired: 1 });
    expect(result).toMatchObject({ outcome: 'unchanged', size: 3 });
    expect(result.explanation).toContain('the minimum of 3 limits 1 to 3');
  });

  it('scaleCluster requests missing agents from the orchestrator, and continues when they are granted', async () => {
    const clusterId = await clusterOf(fleet, 'short', 3, { spare: 1 });
    const running = worker.manager.scaleCluster({ requestId: 'short-scale', clusterId, desired: 6 });
    const request = await waitFor(
      'a request',
      async () => (await listCapacityRequests(stores.resources, { clusterId, limit: 1 }))[0],
    );
    expect(request).toMatchObject({ state: 'open', need: { agents: 2, requiredCapabilities: ['short'] } });
    // What there was has joined already: nobody is kept waiting beside a request.
    await waitFor('what there was', async () => (await membersOf(stores.clusters, clusterId)).length === 4);
    await addAgents(stores.clusters, 2, { capabilities: ['short'] }, 'granted');
    expect(await worker.manager.grantResources('scaling/short-scale', { requestId: request.id, by: 'me' })).toBe(
      'granted',
    );
    expect(await running).toMatchObject({ outcome: 'scaled', from: 3, size: 6, epoch: 3 });
    expect(await findCapacityRequest(stores.resources, request.id)).toMatchObject({
      state: 'granted',
      answeredBy: 'me',
    });
  });

  it('scaleCluster ends with the available agents when the orchestrator denies its request, and gives the reason', async () => {
    const clusterId = await clusterOf(fleet, 'denied', 3);
    const running = worker.manager.scaleCluster({ requestId: 'denied-scale', clusterId, desired: 5 });
    const request = await waitFor(
      'a request',
      async () => (await listCapacityRequests(stores.resources, { clusterId, limit: 1 }))[0],
    );
    // As HTTP does it: the row is the truth, the signal only wakes.
    await saveCapacityAnswer(stores.resources, request.id, {
      state: 'denied',
      by: 'ops',
      answer: { reason: 'too dear' },
    });
    await worker.manager.wake('scaling/denied-scale');
    const result = await running;
    expect(result).toMatchObject({ outcome: 'unchanged', size: 3 });
    expect(result.verdict).toContain('denied: too dear');
    await expect(worker.manager.grantResources('scaling/denied-scale', { requestId: request.id })).rejects.toThrow();
  });

  it('scaleCluster ends with the available agents when the orchestrator does not answer in time', async () => {
    const clusterId = await clusterOf(fleet, 'silent', 3);
    const result = await worker.manager.scaleCluster({
      requestId: 'silent-scale',
      clusterId,
      desired: 4,
      grantSeconds: 1,
    });
    expect(result).toMatchObject({ outcome: 'unchanged', size: 3 });
    expect(result.verdict).toContain('expired');
  });

  it('scaleCluster rolls a change back once when the stability score falls in its soak', async () => {
    const clusterId = await clusterOf(fleet, 'frail', 4, { spare: 2 });
    const before = await membersOf(stores.clusters, clusterId);
    const running = worker.manager.scaleCluster({ requestId: 'frail-scale', clusterId, desired: 6, soakSeconds: 3 });
    await waitFor('the growth', async () => (await membersOf(stores.clusters, clusterId)).length === 6);
    // Who joined goes unready while it is watched, and one of the others: 0.3 x 3/6 + 0.7 = 0.85.
    const members = await membersOf(stores.clusters, clusterId);
    const unready = [...members.filter((id) => !before.includes(id)), ...before.slice(0, 1)];
    await stores.clusters.updateTable('agents').set({ readiness: 'unavailable' }).where('id', 'in', unready).execute();
    const result = await running;
    expect(result).toMatchObject({ outcome: 'rolled_back', from: 4, desired: 6, size: 4, scoreBefore: 1 });
    expect(result.left.toSorted()).toEqual(result.joined.toSorted());
    // Without them 0.3 x 3/4 + 0.7
    expect(result.scoreAfter).toBeCloseTo(0.925, 3);
    const decision = await findDecision(stores.resources, result.decisionId);
    expect(decision).toMatchObject({ outcome: 'rolled_back' });
    const memory = await scalingMemories(stores.resources, [clusterId], {
      nowMs: Date.now(),
      windowSeconds: 60,
      changesSeconds: 60,
      gapSeconds: 60,
    });
    expect(memory.get(clusterId)).toMatchObject({
      blocks: [{ direction: 'out', desired: 6 }],
      changes: [
        { direction: 'out', members: 2, cause: 'asked' },
        { direction: 'in', members: 0, cause: 'rollback' },
      ],
    });
  });

  it('scaleCluster reports the dominant share of every cluster that wants to grow', async () => {
    const one = await clusterOf(fleet, 'sharing', 3, { spare: 4 });
    const two = await clusterOf(fleet, 'sharing', 3, { request: { requestId: 'sharing-2' } });
    const waiting = worker.manager.scaleCluster({
      requestId: 'one-more',
      clusterId: one,
      desired: 9,
      grantSeconds: 60,
    });
    await waitFor(
      'the request',
      async () => (await listCapacityRequests(stores.resources, { clusterId: one, limit: 1 }))[0],
    );
    await worker.manager.scaleCluster({ requestId: 'two-more', clusterId: two, desired: 5, grantSeconds: 0 });
    const steps = await stepsOf(stores.clusters, 'two-more');
    const allocated = steps.find(({ step }) => step === 'allocateResources')?.result as AllocatedResources | undefined;
    const share = allocated?.share;
    expect(share).toMatchObject({ claims: 2, dominantResource: 'agents' });
    expect(share?.shares.map(({ clusterId }) => clusterId).toSorted()).toEqual([one, two].toSorted());
    // Who came a moment after the fleet was looked at counts all the same.
    await addAgents(stores.clusters, 2, { capabilities: ['sharing'], resources: { slots: 4 } }, 'sharing-late');
    const again = await worker.manager.scaleCluster({ clusterId: two, desired: 4, grantSeconds: 0 });
    expect(again).toMatchObject({ outcome: 'scaled', size: 4 });
    await worker.manager.cancel('scaling/one-more');
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('scaleCluster runs its four steps in order and stops the soak of a dissolved cluster', async () => {
    const clusterId = await clusterOf(fleet, 'ending', 3, { spare: 1 });
    const running = worker.manager.scaleCluster({ requestId: 'ending-scale', clusterId, desired: 4, soakSeconds: 12 });
    await waitFor('the growth', async () => (await membersOf(stores.clusters, clusterId)).length === 4);
    const dissolution = { operationId: 'ending-end', clusterId, drainSeconds: 0 };
    await worker.manager.result(await worker.manager.startDissolution(dissolution));
    expect(await running).toMatchObject({
      outcome: 'scaled',
      joined: [expect.any(String)],
      scoreAfter: null,
      verdict: 'not observed to the end: the cluster is dissolved',
    });
    const steps = [...new Set(await activitiesOf(worker.client, 'scaling/ending-scale'))];
    expect(steps).toEqual([...scalingSteps, 'settleScaling']);
  });

  it('scaleCluster refuses an unknown cluster or one that is being scaled, and changes nothing', async () => {
    await expect(worker.manager.scaleCluster({ requestId: 'nowhere', clusterId: 'cl_nowhere' })).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await findOperation(stores.clusters, 'nowhere')).toBeUndefined();
    const clusterId = await clusterOf(fleet, 'twice', 3);
    const first = worker.manager.scaleCluster({ requestId: 'twice-1', clusterId, desired: 5, grantSeconds: 60 });
    await waitFor('a request', async () => (await listCapacityRequests(stores.resources, { clusterId, limit: 1 }))[0]);
    await expect(worker.manager.scaleCluster({ requestId: 'twice-2', clusterId, desired: 4 })).rejects.toMatchObject({
      code: 'state_conflict',
    });
    await worker.manager.cancel('scaling/twice-1');
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    expect(await findOperation(stores.clusters, 'twice-1')).toMatchObject({ state: 'cancelled' });
    expect(await membersOf(stores.clusters, clusterId)).toHaveLength(3);
  });
});
