import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { urgentScaling } from '../../src/maintenance/urgent-scaling.js';
import { emptyHistogram } from '../../src/domain/communication/latency.js';
import { usageSampler } from '../../src/maintenance/usage-sampler.js';
import { findOperation, listOperations, saveHeartbeats } from '../../src/stores/clusters/index.js';
import { addLatencies } from '../../src/stores/communication/index.js';
import { lastScores, listCapacityRequests, scalingMemories, usageOf } from '../../src/stores/resources/index.js';
import { clusterOf, membersOf, useSlots, type Fleet } from '../support/clusters.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { ackInboxes, sendToMembers } from '../support/cluster-messages.js';
import { startTestWorker, testSettings, type TestWorker } from '../support/worker.js';

const scaling = { ...testSettings.scaling, newMemberSeconds: 0, soakGrowSeconds: 0, soakShrinkSeconds: 0 };

let stores: TestDatabases;
let worker: TestWorker;
let fleet: Fleet;

beforeAll(async () => {
  stores = await createTestDatabases();
  worker = await startTestWorker(stores, { settings: { scaling } });
  fleet = { clusters: stores.clusters, manager: worker.manager };
});
afterAll(async () => {
  await worker?.stop();
  await stores?.drop();
});
// Each test assesses all clusters: those of the ones before are out of the way.
beforeEach(async () => {
  await stores.clusters.updateTable('clusters').set({ state: 'failed' }).execute();
});

const used = async (clusterId: string, slots: number): Promise<void> =>
  useSlots(stores.resources, await membersOf(stores.clusters, clusterId), slots);

const memoryOf = async (clusterId: string) =>
  (
    await scalingMemories(stores.resources, [clusterId], {
      nowMs: Date.now(),
      windowSeconds: 60,
      changesSeconds: 60,
      gapSeconds: 60,
    })
  ).get(clusterId);

describe('scalingInterval', () => {
  it('the scaling interval starts scaleCluster only for clusters to change, and stores a decision for every cluster', async () => {
    const calm = await clusterOf(fleet, 'calm', 4);
    const busy = await clusterOf(fleet, 'busy', 4, { spare: 3 });
    await used(calm, 2.6);
    await used(busy, 3.6);
    const dry = await worker.manager.runScalingInterval({ dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, assessed: 2, started: [busy], moved: [], postponed: 0 });
    expect(dry.lines[0]).toContain(`${busy}: 4 -> 6  Grows from 4 to 6 members`);
    expect(await memoryOf(calm)).toMatchObject({ recommendations: [] });
    const report = await worker.manager.runScalingInterval({ dryRun: false });
    expect(report).toMatchObject({ dryRun: false, assessed: 2, started: [busy] });
    await waitFor('the growth', async () => (await membersOf(stores.clusters, busy)).length === 6);
    expect(await memoryOf(calm)).toMatchObject({ recommendations: [{ desired: 4 }] });
    expect(await lastScores(stores.resources, calm, 1)).toMatchObject([{ score: 1 }]);
    const scalings = await listOperations(stores.clusters, { clusterId: calm, limit: 10 });
    expect(scalings.map(({ kind }) => kind)).toEqual(['FORMATION']);
  });

  it('the scaling interval skips a cluster that is being scaled', async () => {
    const clusterId = await clusterOf(fleet, 'waits', 3);
    const running = worker.manager.scaleCluster({ requestId: 'waits-scale', clusterId, desired: 5, grantSeconds: 60 });
    running.catch(() => undefined);
    await waitFor(
      'the run to wait',
      async () => (await listCapacityRequests(stores.resources, { clusterId, limit: 1 }))[0],
    );
    expect(await worker.manager.runScalingInterval({ dryRun: false })).toMatchObject({ assessed: 0, started: [] });
    await worker.manager.cancel('scaling/waits-scale');
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('the scaling interval moves a member from a little-used cluster to a busy one when the fleet has no spare agent', async () => {
    const idle = await clusterOf(fleet, 'idle', 5, { capability: 'shared' });
    const full = await clusterOf(fleet, 'full', 5, { capability: 'shared' });
    await used(idle, 1.2);
    // Above what is worth a move, below what makes it grow.
    await used(full, 3.1);
    const dry = await worker.manager.runScalingInterval({ dryRun: true });
    expect(dry).toMatchObject({ started: [] });
    expect(dry.moved).toHaveLength(1);
    expect(dry.lines[0]).toMatch(/^idle-\d: cl_idle -> cl_full {2}the higher usage falls from 0.775 to 0.6458$/);
    await worker.manager.runScalingInterval({ dryRun: false });
    expect(await membersOf(stores.clusters, idle)).toHaveLength(4);
    expect(await membersOf(stores.clusters, full)).toHaveLength(6);
  });

  it('the scaling interval reports a move whose member left one cluster and could not join the other', async () => {
    const giver = await clusterOf(fleet, 'giver', 5, { capability: 'half' });
    const taker = await clusterOf(fleet, 'taker', 5, { capability: 'half' });
    await used(giver, 1.2);
    await used(taker, 3.1);
    await sendToMembers(stores, giver);
    const interval = worker.manager.runScalingInterval({ dryRun: false });
    const [leaving = ''] = await waitFor('the drain', async () => {
      const found = await membersOf(stores.clusters, giver, 'leaving');
      return found.length > 0 && found;
    });
    // Somebody else scales the cluster that was to take it, and waits for the orchestrator.
    const other = await worker.manager.startScaling({ requestId: 'other', clusterId: taker, desired: 9 });
    await waitFor(
      'its request',
      async () => (await listCapacityRequests(stores.resources, { clusterId: taker, limit: 1 }))[0],
    );
    await ackInboxes(stores, [leaving]);
    const report = await interval;
    expect(report.moved).toEqual([]);
    expect(report.lines).toEqual([
      `${leaving}: ${giver} -> ${taker}  left ${giver} and did not join ${taker}: Cluster "${taker}" is being scaled ` +
        'by operation other; retry when that has ended, or cancel it',
    ]);
    expect(await membersOf(stores.clusters, giver)).toHaveLength(4);
    await worker.manager.cancel(other.workflowId);
    await worker.manager.result(other.workflowId).catch(() => undefined);
  });

  describe('a move between clusters that changed after the assessment', () => {
    const planned = { agentId: '', from: '', to: '', giverSize: 0, takerSize: 0, gain: 0.1 };
    const usage = { giver: { before: 0.3, after: 0.4 }, taker: { before: 0.8, after: 0.7 } };
    const page = { assessed: 2, changes: [], balance: { balance: 1, staleRounds: 0 }, next: null };
    const moving: object[] = [];
    let outdated: TestWorker;

    beforeAll(async () => {
      const activities = { assessPage: async () => ({ ...page, moves: moving }) };
      outdated = await startTestWorker(stores, { settings: { scaling }, activities });
    });
    afterAll(() => outdated?.stop());

    it('the scaling interval reports that a member stays when its cluster can no longer spare it', async () => {
      const [from, to] = [await clusterOf(fleet, 'spares', 3), await clusterOf(fleet, 'takes', 3, { spare: 1 })];
      moving.splice(0, 1, { ...planned, ...usage, agentId: 'spares-0', from, to, giverSize: 4, takerSize: 3 });
      const report = await outdated.manager.runScalingInterval({ dryRun: false });
      expect(report.moved).toEqual([]);
      expect(report.lines).toEqual([
        expect.stringMatching(/^spares-0: cl_spares -> cl_takes {2}did not leave cl_spares: .*3 members/),
      ]);
      expect(await membersOf(stores.clusters, from)).toHaveLength(3);
      expect(await membersOf(stores.clusters, to)).toHaveLength(3);
    });

    it('the scaling interval reports that another agent joined in place of the moved one', async () => {
      const [from, to] = [await clusterOf(fleet, 'sheds', 4), await clusterOf(fleet, 'picks', 3)];
      await addAgents(stores.clusters, 1, { capabilities: ['picks'] }, 'picked');
      moving.splice(0, 1, { ...planned, ...usage, agentId: 'sheds-0', from, to, giverSize: 4, takerSize: 3 });
      const report = await outdated.manager.runScalingInterval({ dryRun: false });
      expect(report.moved).toEqual([]);
      expect(report.lines).toEqual([
        'sheds-0: cl_sheds -> cl_picks  left cl_sheds; picked-0 joined cl_picks in its place',
      ]);
      expect(await membersOf(stores.clusters, from)).not.toContain('sheds-0');
      expect(await membersOf(stores.clusters, to)).toContain('picked-0');
    });
  });
});

describe('unmet capacity', () => {
  it('the scaling interval retries unmet capacity once agents are available', async () => {
    const clusterId = await clusterOf(fleet, 'wants', 3);
    const asked = { clusterId, desired: 5, grantSeconds: 0 };
    expect(await worker.manager.scaleCluster(asked)).toMatchObject({
      outcome: 'unchanged',
      verdict: expect.stringContaining('2 more were wanted'),
    });
    expect(await memoryOf(clusterId)).toMatchObject({ wanted: 5 });
    await addAgents(stores.clusters, 1, { capabilities: ['wants'], resources: { slots: 4 } }, 'wants-late');
    expect(await worker.manager.scaleCluster(asked)).toMatchObject({ outcome: 'partial', size: 4 });
    await addAgents(stores.clusters, 1, { capabilities: ['wants'], resources: { slots: 4 } }, 'wants-later');
    const dry = await worker.manager.runScalingInterval({ dryRun: true });
    expect(dry.lines[0]).toContain('unmet capacity of 1 makes 4 + 1 = 5 members');
    await worker.manager.runScalingInterval({ dryRun: false });
    await waitFor('the last one', async () => (await membersOf(stores.clusters, clusterId)).length === 5);
    await waitFor('nothing more to want', async () => (await memoryOf(clusterId))?.wanted === null);
  });

  it('the scaling interval does not retry capacity that the orchestrator denied', async () => {
    const clusterId = await clusterOf(fleet, 'denied', 3);
    const running = worker.manager.scaleCluster({ requestId: 'denied-scale', clusterId, desired: 5, grantSeconds: 60 });
    const [request] = await waitFor('the request', async () => {
      const open = await listCapacityRequests(stores.resources, { clusterId, limit: 1 });
      return open.length > 0 && open;
    });
    await worker.manager.denyResources('scaling/denied-scale', { requestId: request?.id ?? '', reason: 'no budget' });
    expect(await running).toMatchObject({ outcome: 'unchanged' });
    expect(await memoryOf(clusterId)).toMatchObject({ wanted: null });
  });
});

describe('waiting work', () => {
  it('waiting work grows a cluster according to its processing rate', async () => {
    const clusterId = await clusterOf(fleet, 'loaded', 3, { spare: 3 });
    const members = await membersOf(stores.clusters, clusterId);
    await used(clusterId, 2.6);
    const beat = { load: 1, inboxDepth: 500 };
    await saveHeartbeats(stores.clusters, new Map(members.map((id) => [id, beat])), 600);
    const plan = async () => (await worker.manager.runScalingInterval({ dryRun: true })).lines.join('\n');
    expect(await plan()).not.toContain('cl_loaded');
    const counts = emptyHistogram();
    counts[2] = 300;
    await addLatencies(stores.communication, [{ clusterId, measure: 'acked', counts }]);
    // 300 in two to three minutes by 3 slots that are at work: 0.55 to 0.84 a slot and second.
    expect(await plan()).toMatch(
      /cl_loaded: 3 -> 6 {2}.*work of 3 in flight \+ 1500 waiting \/ \(300 s x 0\.[5-8]\d* a slot\)/,
    );
  });
});

describe('usage reported by heartbeat', () => {
  it('usage and load reported by heartbeat become one sample per period', async () => {
    const clusterId = await clusterOf(fleet, 'beats', 3);
    const [first = '', second = ''] = await membersOf(stores.clusters, clusterId);
    await saveHeartbeats(stores.clusters, new Map([[first, { usage: { slots: 3 }, load: 0.5 }]]), 30);
    const config = () => ({ scaling }) as never;
    await usageSampler({ ...stores, config })();
    const told = await usageOf(stores.resources, [first, second]);
    expect(told.map(({ agentId, resource, value }) => [agentId, resource, value])).toEqual([
      [first, 'concurrency', 0.5],
      [first, 'slots', 3],
    ]);
  });

  it('usage above 0.95 in two consecutive samples starts one urgent scaling', async () => {
    const clusterId = await clusterOf(fleet, 'urgent', 3, { spare: 1 });
    const members = await membersOf(stores.clusters, clusterId);
    await saveHeartbeats(stores.clusters, new Map(members.map((id) => [id, { load: 1 }])), 600);
    const config = () => ({ scaling, capabilities: ['scaling'], leaseSeconds: 30 }) as never;
    const sample = usageSampler({ ...stores, config });
    await sample();
    const looks = [
      urgentScaling({ ...stores, client: worker.manager, config }),
      urgentScaling({ ...stores, client: worker.manager, config }),
    ];
    for (const look of looks) await look();
    expect(await listOperations(stores.clusters, { clusterId, limit: 10 })).toHaveLength(1);
    for (const look of looks) await look();
    const operations = await waitFor('the run', async () => {
      const found = await listOperations(stores.clusters, { clusterId, limit: 10 });
      return found.length > 1 && found;
    });
    expect(operations.filter(({ kind }) => kind === 'SCALING')).toHaveLength(1);
  });
});

describe('a formation that is queued until all members are available', () => {
  it('a queued formation is retried when agents gain room, before the next interval', async () => {
    await worker.manager.schedules.ensure('formation', { everySeconds: 86_400 });
    const config = () => ({ scaling, capabilities: ['scaling'], leaseSeconds: 30 }) as never;
    const look = urgentScaling({ ...stores, client: worker.manager, config });
    const { operationId } = await worker.manager.startFormation({
      requestId: 'gang',
      name: 'gang',
      requiredCapabilities: ['gang'],
      size: { min: 3, desired: 3, max: 3 },
      onInsufficient: 'queue',
    });
    const stateOf = async () => (await findOperation(stores.clusters, operationId))?.state;
    await waitFor('the queue', async () => (await stateOf()) === 'queued');
    await look();
    await addAgents(stores.clusters, 3, { capabilities: ['gang'] }, 'gang');
    expect(await stateOf()).toBe('queued');
    await look();
    await waitFor('the cluster', async () => (await stateOf()) === 'completed');
  });
});
