import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectClusterManager, type ClusterManagerClient } from '../../src/client/index.js';
import { checkInvariants, type Violation } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';
import { WorkerProcess } from './worker-process.js';

export interface Services {
  readonly adminUrl: string;
  readonly temporal: { readonly address: string; readonly namespace: string };
}

/** One manager of its own: databases, task queue, worker processes and the points at which these are made to fail. */
export interface Lane {
  readonly id: string;
  readonly stores: TestDatabases;
  readonly manager: ClusterManagerClient;
  readonly workers: readonly WorkerProcess[];
  /** Arms failpoints, and forgets which fired before. */
  readonly arm: (points: readonly string[]) => void;
  /** The pid of the process in which an armed point fired. */
  readonly fired: (point: string) => number | undefined;
  /** Operations that have not ended. */
  readonly open: () => Promise<number>;
  /** Waits until every operation has ended. @returns how long that took. */
  readonly settle: (options?: { readonly timeoutMs?: number; readonly sweep?: boolean }) => Promise<number>;
  readonly check: () => Promise<Violation[]>;
  readonly close: () => Promise<void>;
}

const settings = new URL('../../cluster-manager.yaml', import.meta.url);
let lanes = 0;

/** Opens a manager with `workers` worker processes on services that run. */
export async function openLane(services: Services, { workers = 1 } = {}): Promise<Lane> {
  lanes += 1;
  const id = `faults-${process.pid}-${lanes}`;
  const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-faults-'));
  const stores = await createTestDatabases({ adminUrl: services.adminUrl, maxConnections: 8 });
  const failpoints = join(folder, 'failpoints');
  const config = join(folder, 'cluster-manager.yaml');
  writeFileSync(config, readFileSync(settings, 'utf8').replace('cluster-manager-1', id));
  const env = {
    CLUSTER_MANAGER_CONFIG: config,
    CLUSTER_MANAGER_FAILPOINTS: failpoints,
    CLUSTERS_DATABASE_URL: stores.urls.clusters,
    COMMUNICATION_DATABASE_URL: stores.urls.communication,
    RESOURCES_DATABASE_URL: stores.urls.resources,
    TEMPORAL_ADDRESS: services.temporal.address,
    TEMPORAL_NAMESPACE: services.temporal.namespace,
    LOG_LEVEL: 'info',
  };
  const processes = Array.from({ length: workers }, (_, index) => new WorkerProcess(env, join(folder, `${index}.log`)));
  await Promise.all(processes.map((worker) => worker.start()));
  const manager = await connectClusterManager({ ...services.temporal, managerId: id });
  let armed: readonly string[] = [];

  const open = async (): Promise<number> => {
    const { count } = await stores.clusters
      .selectFrom('operations')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('state', 'in', ['running', 'queued'])
      .executeTakeFirstOrThrow();
    return count;
  };

  return {
    id,
    stores,
    manager,
    workers: processes,
    arm: (points) => {
      for (const point of armed) rmSync(`${failpoints}.${point.split(' ')[0]}.fired`, { force: true });
      armed = points;
      writeFileSync(failpoints, points.join('\n'));
    },
    fired: (point) => {
      try {
        return Number(readFileSync(`${failpoints}.${point}.fired`, 'utf8'));
      } catch {
        return undefined;
      }
    },
    open,
    settle: async ({ timeoutMs = 60_000, sweep = false } = {}) => {
      const startedMs = performance.now();
      const isSettled = async (): Promise<boolean> => {
        if ((await open()) === 0) return true;
        if (sweep) await manager.runFormationInterval({ dryRun: false });
        return false;
      };
      await waitFor('every operation to end', isSettled, { timeoutMs, everyMs: 100 });
      return performance.now() - startedMs;
    },
    check: () => checkInvariants(stores),
    close: async () => {
      await Promise.all(processes.map((worker) => worker.stop()));
      await manager.close();
      await stores.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
