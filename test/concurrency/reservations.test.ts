import { afterEach, describe, expect, it } from 'vitest';
import { checkInvariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { callActivities, dissolveDirectly, formDirectly, type Outcome } from './run-formation.js';
import { startSampler } from './sampler.js';
import { seededRandom } from './seeded-random.js';

const connections = 32;
const seed = Number(process.env['SEED'] ?? 20_260_101);

let stores: TestDatabases | undefined;
afterEach(async () => {
  await stores?.drop();
  stores = undefined;
});

/** Works through `count` jobs, `atOnce` at a time. */
async function inParallel(count: number, atOnce: number, job: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const runNext = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await job(index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, runNext));
}

const tally = (outcomes: readonly Outcome[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    const key = outcome.state === 'formed' ? 'formed' : outcome.type;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
};

describe('concurrent formations', () => {
  it("2,000 concurrent formations of 50 agents over 32 connections never exceed maxClusters or a cluster's bounds", async () => {
    const requests = 2_000;
    const clustersHeld = 8;
    stores = await createTestDatabases({ maxConnections: connections });
    const databases = stores;
    await addAgents(databases.clusters, 20, { capabilities: ['plan', 'code'], resources: { slots: 2 } }, 'single');
    await addAgents(
      databases.clusters,
      20,
      { capabilities: ['code'], maxClusters: 2, resources: { slots: 3 } },
      'double',
    );
    await addAgents(
      databases.clusters,
      10,
      { capabilities: ['plan'], maxClusters: 3, resources: { slots: 3 } },
      'triple',
    );
    const call = callActivities(databases);
    const random = seededRandom(seed);
    const held: string[] = [];
    const outcomes: Outcome[] = [];
    const twins: Outcome[] = [];
    const faults: unknown[] = [];
    const sampler = startSampler(databases, { everyMs: 20 });
    const startedMs = performance.now();
    await inParallel(requests, connections, async (index) => {
      const size = 3 + Math.floor(random() * 3);
      const request = {
        requestId: `r${index}`,
        name: `r${index}`,
        requiredCapabilities: random() < 0.5 ? ['plan', 'code'] : ['code'],
        size: { min: 3, desired: size, max: 6 },
        resources: random() < 0.5 ? { slots: 1 } : {},
      };
      // 5 %: a step takes effect, its answer is lost, and it is tried again.
      const disturb = (run: () => Promise<unknown>): Promise<void> =>
        random() < 0.05
          ? run().then(
              () => undefined,
              () => undefined,
            )
          : Promise.resolve();
      const form = (): Promise<Outcome> => formDirectly(call, request, disturb);
      try {
        // 10 %: the same request twice at once.
        const [one, twin] = await Promise.all(random() < 0.1 ? [form(), form()] : [form()]);
        if (twin) twins.push(twin);
        // The twin of a refused request may find its operation ended already.
        const outcome = twin && one.state !== 'formed' && one.type === 'OperationEnded' ? twin : one;
        outcomes.push(outcome);
        if (outcome.state !== 'formed') return;
        held.push(outcome.result.clusterId);
        const oldest = held.length > clustersHeld ? held.shift() : undefined;
        if (oldest) await dissolveDirectly(call, oldest);
      } catch (error) {
        faults.push(error);
      }
    });
    const seconds = (performance.now() - startedMs) / 1_000;
    const { samples, violations } = await sampler();
    const counts = tally(outcomes);
    console.log(
      `${requests} requests in ${seconds.toFixed(1)} s, ${samples} samples, seed ${seed}: ${JSON.stringify(counts)}`,
    );
    expect(faults).toEqual([]);
    expect(violations).toEqual([]);
    expect(await checkInvariants(databases)).toEqual([]);
    expect(twins.length).toBeGreaterThan(requests / 20);
    expect(counts['formed']).toBeGreaterThan(100);
    expect(Object.keys(counts).sort()).toEqual(['InsufficientAgents', 'formed']);
    expect(samples).toBeGreaterThan(20);
  }, 240_000);

  it('16 concurrent formations of 3 from 50 agents all succeed', async () => {
    stores = await createTestDatabases({ maxConnections: connections });
    await addAgents(stores.clusters, 50, { capabilities: ['work'] });
    const call = callActivities(stores);
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        formDirectly(call, { requestId: `all-${index}`, name: 'all', requiredCapabilities: ['work'] }),
      ),
    );
    expect(tally(outcomes)).toEqual({ formed: 16 });
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('17 concurrent formations of 3 from 50 agents form 16 clusters and refuse one', async () => {
    stores = await createTestDatabases({ maxConnections: connections });
    await addAgents(stores.clusters, 50, { capabilities: ['work'] });
    const call = callActivities(stores);
    const outcomes = await Promise.all(
      Array.from({ length: 17 }, (_, index) =>
        formDirectly(call, { requestId: `all-${index}`, name: 'all', requiredCapabilities: ['work'] }),
      ),
    );
    expect(tally(outcomes)).toEqual({ formed: 16, InsufficientAgents: 1 });
    expect(await checkInvariants(stores)).toEqual([]);
  });
});
