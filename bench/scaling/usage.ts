import { sql } from 'kysely';
import { assess } from '../../src/domain/scaling/assess.js';
import { readClusterSnapshots } from '../../src/activities/scaling/read-facts.js';
import { rulesOf } from '../../src/activities/scaling/read-facts.js';
import { loadConfig } from '../../src/config/index.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { findCluster } from '../../src/stores/clusters/index.js';
import { recordUsage } from '../../src/stores/resources/index.js';
import { absolute, quantile, type Figure } from '../figure.js';
import { clusterName, memberName } from './clusters.js';
import type { Stores } from '../../src/stores/open.js';

const agents = 100_000;
const clustersOfFive = 10_000;
const perStatement = 5000;

/**
 * (d) The usage of 100,000 agents over an hour of simulated time, one sample every five minutes. A sample every 15 s would
 * store as many rows, because five minutes share a row. Half of the agents are members of 10,000 clusters of five, which are
 * then assessed one at a time.
 */
export async function usage(stack: Stack, quick: boolean, stores: Stores): Promise<Figure[]> {
  const ids = Array.from({ length: agents }, (_, index) =>
    index < clustersOfFive * 5 ? memberName(Math.floor(index / 5) + 1, (index % 5) + 1) : `other-${index}`,
  );
  const slots = quick ? 2 : 12;
  const begin = performance.now();
  for (let slot = slots - 1; slot >= 0; slot -= 1) {
    const atMs = Date.now() - slot * 300_000;
    for (let from = 0; from < agents; from += perStatement) {
      await recordUsage(
        stores.resources,
        ids.slice(from, from + perStatement).map((agentId) => ({ agentId, resource: 'slots', amount: 2.6, atMs })),
      );
    }
  }
  const perSecond = (slots * agents) / ((performance.now() - begin) / 1000);
  const { rows } = await sql<{ latest: number; rollups: number }>`
    select (select count(*) from usage_latest) as latest, (select count(*) from usage_rollups) as rollups`.execute(
    stores.resources,
  );
  const settings = loadConfig({ env: stack.env });
  const deps = { ...stores, settings } as unknown as Parameters<typeof readClusterSnapshots>[0];
  const rules = rulesOf(settings);
  const times: number[] = [];
  for (let run = 0; run < 220; run += 1) {
    const at = performance.now();
    const cluster = await findCluster(stores.clusters, clusterName(1 + ((run * 37) % clustersOfFive)));
    if (!cluster) throw new Error('The cluster to assess does not exist');
    const snapshot = (await readClusterSnapshots(deps, [cluster], { rules })).get(cluster.id);
    if (!snapshot || assess(snapshot.facts, rules).usage.out === null) throw new Error(`${cluster.id} has no usage`);
    if (run >= 20) times.push(performance.now() - at);
  }
  return [
    absolute('scaling.usage.recorded', perSecond, 'samples/s'),
    absolute(
      'scaling.usage.rows',
      (rows[0]?.latest ?? 0) + (rows[0]?.rollups ?? 0),
      `rows stored for ${slots * agents} samples`,
    ),
    absolute('scaling.assessment.p50', quantile(times, 0.5), 'ms'),
    absolute('scaling.assessment.p95', quantile(times, 0.95), 'ms with 100,000 agents', {
      text: '<= 50 ms',
      isMet: (value) => value <= 50,
    }),
  ];
}
