import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { createClusterManagerClient } from '../../src/client/index.js';
import { clustersMigrations, type ClustersSchema } from '../../src/stores/clusters/index.js';
import { migrate, openDatabase } from '../../src/stores/database.js';
import { compared, quantile, type Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { registerFleet } from './fleet.js';

interface Rate {
  readonly latenciesMs: number[];
  readonly perSecond: number;
}

/** Calls `run` `count` times, `atOnce` in flight. */
export async function drive(count: number, atOnce: number, run: () => Promise<unknown>): Promise<Rate> {
  const latenciesMs: number[] = [];
  let started = 0;
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
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
    child.once('exit', (code) => reject(new Error(`The bare worker ended with ${code} before it was ready`)));
  });
  return () =>
    new Promise<void>((resolve) => {
      child.removeAllListeners('exit').once('exit', () => resolve());
      child.kill('SIGTERM');
    });
}

/**
 * (a) a bare workflow of four activities that do nothing: the limit of this server; (b) formCluster through the
 * client. In turns, on one server, so that both meet the same noise.
 */
export const throughput = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'all', workers: 1 }, async (stack) => {
    const {
      TEMPORAL_ADDRESS: address = '',
      TEMPORAL_NAMESPACE: namespace = '',
      CLUSTERS_DATABASE_URL: url = '',
    } = stack.env;
    const db = openDatabase<ClustersSchema>({ url, applicationName: 'bench' });
    await migrate(db, 'clusters', clustersMigrations);
    await registerFleet(db, 100, { maxClusters: 1000 });
    await db.destroy();
    const stopBare = await startBareWorker(address, namespace, 'bare');
    const connection = await Connection.connect({ address });
    const client = new Client({ connection, namespace });
    const manager = createClusterManagerClient(client, 'cluster-manager-1');
    let sequence = 0;
    const bare = () =>
      client.workflow.execute('bareFour', { workflowId: `bare-${(sequence += 1)}`, taskQueue: 'bare' });
    const ours = () =>
      manager.formCluster({
        name: `bench-${(sequence += 1)}`,
        requiredCapabilities: ['plan', 'code'],
        size: { desired: 5 },
      });

    await drive(10, 5, bare);
    await drive(10, 5, ours);
    const rounds = quick ? 2 : 4;
    const single = { bare: [] as number[], ours: [] as number[] };
    const many = { bare: [] as number[], ours: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      single.bare.push(...(await drive(quick ? 15 : 25, 1, bare)).latenciesMs);
      single.ours.push(...(await drive(quick ? 15 : 25, 1, ours)).latenciesMs);
    }
    for (let round = 0; round < rounds; round += 1) {
      many.bare.push((await drive(quick ? 150 : 300, 50, bare)).perSecond);
      many.ours.push((await drive(quick ? 150 : 300, 50, ours)).perSecond);
    }
    await stopBare();
    await connection.close();
    const against = 'bare four no-op activities';
    return [
      compared(
        'formation.throughput',
        quantile(many.ours, 0.5),
        'workflows/s',
        { against, reference: quantile(many.bare, 0.5) },
        {
          text: '>= 0.85',
          isMet: (ratio) => ratio >= 0.85,
        },
      ),
      compared(
        'formation.latency.p50',
        quantile(single.ours, 0.5),
        'ms',
        { against, reference: quantile(single.bare, 0.5) },
        {
          text: '<= 1.3',
          isMet: (ratio) => ratio <= 1.3,
        },
      ),
      compared('formation.latency.p99', quantile(single.ours, 0.99), 'ms', {
        against,
        reference: quantile(single.bare, 0.99),
      }),
    ];
  });
