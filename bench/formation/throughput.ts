import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { createClusterManagerClient } from '../../src/client/index.js';
import { clustersDatabase, type ClustersSchema } from '../../src/stores/clusters/index.js';
import { openDatabase } from '../../src/stores/database.js';
import { migrate } from '../../src/stores/migrate.js';
import { compared, quantile, type Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { registerFleet } from './fleet.js';

interface Rate {
  readonly latenciesMs: number[];
  readonly perSecond: number;
}

/** Calls `run` `count` times, `concurrency` of them in flight, and measures each call. */
export async function measureCalls(count: number, concurrency: number, run: () => Promise<unknown>): Promise<Rate> {
  const latenciesMs: number[] = [];
  let started = 0;
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (started < count) {
        started += 1;
        const at = performance.now();
        await run();
        latenciesMs.push(performance.now() - at);
      }
    }),
  );
  return { latenciesMs, perSecond: count / ((performance.now() - begin) / 1000) };
}

export async function startBareWorker(address: string, namespace: string, taskQueue: string) {
  const path = fileURLToPath(new URL('./bare-worker.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', path, address, namespace, taskQueue], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`The bare worker exited with code ${code} before it was ready`)));
  });
  return () =>
    new Promise<void>((resolve) => {
      child.removeAllListeners('exit').once('exit', () => resolve());
      child.kill('SIGTERM');
    });
}

/**
 * (a) A bare workflow of four no-op activities: the limit of this Temporal server; (b) formCluster through the client.
 * They alternate on one server, so that both meet the same noise.
 */
export const throughput = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'all', workers: 1 }, async (stack) => {
    const {
      TEMPORAL_ADDRESS: address = '',
      TEMPORAL_NAMESPACE: namespace = '',
      CLUSTERS_DATABASE_URL: url = '',
    } = stack.env;
    const db = openDatabase<ClustersSchema>({ url, applicationName: 'bench' });
    await migrate({ url, applicationName: 'bench' }, clustersDatabase);
    await registerFleet(db, 100, { maxClusters: 1000 });
    await db.destroy();
    const stopBare = await startBareWorker(address, namespace, 'bare');
    const connection = await Connection.connect({ address });
    const client = new Client({ connection, namespace });
    const manager = createClusterManagerClient(client, 'cluster-manager-1');
    let sequence = 0;
    const bare = () =>
      client.workflow.execute('bareFour', { workflowId: `bare-${(sequence += 1)}`, taskQueue: 'bare' });
    const product = () =>
      manager.formCluster({
        name: `bench-${(sequence += 1)}`,
        requiredCapabilities: ['plan', 'code'],
        size: { desired: 5 },
      });

    await measureCalls(10, 5, bare);
    await measureCalls(10, 5, product);
    const oneAtATime = await alternate(
      quick ? 4 : 8,
      () => measureCalls(15, 1, bare),
      () => measureCalls(15, 1, product),
    );
    const concurrent = await alternate(
      quick ? 3 : 6,
      () => measureCalls(150, 50, bare),
      () => measureCalls(150, 50, product),
    );
    await stopBare();
    await connection.close();
    const latency = (share: number) => (rate: Rate) => quantile(rate.latenciesMs, share);
    return [
      figureOf('formation.throughput', 'workflows/s', concurrent, (rate) => rate.perSecond, {
        text: '>= 0.85',
        isMet: (ratio) => ratio >= 0.85,
      }),
      figureOf('formation.latency.p50', 'ms', oneAtATime, latency(0.5), {
        text: '<= 1.3',
        isMet: (ratio) => ratio <= 1.3,
      }),
      figureOf('formation.latency.p99', 'ms', oneAtATime, latency(0.99)),
    ];
  });

interface Pair {
  readonly bare: Rate;
  readonly product: Rate;
}

/** Alternates between both, so that a temporary slowdown of the machine affects both halves of a pair. */
async function alternate(rounds: number, bare: () => Promise<Rate>, product: () => Promise<Rate>): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round += 1) pairs.push({ bare: await bare(), product: await product() });
  return pairs;
}

/** The medians over all pairs of the value, of the reference, and of the ratio within a pair. */
function figureOf(
  name: string,
  unit: string,
  pairs: readonly Pair[],
  of: (rate: Rate) => number,
  aim?: Parameters<typeof compared>[4],
): Figure {
  const median = (values: readonly number[]) => quantile(values, 0.5);
  const ratio = median(pairs.map((pair) => of(pair.product) / of(pair.bare)));
  const reference = median(pairs.map((pair) => of(pair.bare)));
  const value = median(pairs.map((pair) => of(pair.product)));
  return compared(name, value, unit, { against: 'bare four no-op activities', reference, ratio }, aim);
}
