import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectClusterManager, type ClusterManagerClient } from '../../src/client/index.js';
import { reservePort } from '../../src/dev-stack/ports.js';
import { newToken } from '../../src/stores/clusters/index.js';
import { checkInvariants, type Violation } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';
import { ProductProcess } from './product-process.js';

export interface Services {
  readonly adminUrl: string;
  readonly temporal: { readonly address: string; readonly namespace: string };
}

/** A manager with its own databases, task queue and processes, and the failpoints at which these processes fail. */
export interface Deployment {
  readonly id: string;
  readonly stores: TestDatabases;
  readonly manager: ClusterManagerClient;
  readonly workers: readonly ProductProcess[];
  /** Arms these failpoints in place of the earlier ones, and forgets which of those fired. */
  readonly arm: (points: readonly string[]) => void;
  /** Undefined unless the options request one. */
  readonly server: DeploymentServer | undefined;
  /** The pid of the process in which an armed point fired. */
  readonly fired: (point: string) => number | undefined;
  /** Operations that have not ended. */
  readonly open: () => Promise<number>;
  /** Waits until every operation has ended. @returns how long that took. */
  readonly settle: (options?: { readonly timeoutMs?: number; readonly sweep?: boolean }) => Promise<number>;
  readonly check: (evidence?: Parameters<typeof checkInvariants>[1]) => Promise<Violation[]>;
  readonly close: () => Promise<void>;
}

export interface DeploymentServer {
  readonly process: ProductProcess;
  readonly url: string;
  readonly adminToken: string;
  readonly enrolmentToken: string;
  /** Frees the reserved port. */
  readonly release: () => void;
}

export interface DeploymentOptions {
  readonly workers?: number;
  readonly server?: boolean;
  /** Sections to append to the settings file, by name. */
  readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The address at which the server reaches the communication database, e.g. that of a proxy. */
  readonly via?: (databaseUrl: string) => string;
}

const settingsFile = new URL('../../cluster-manager.yaml', import.meta.url);
let deployments = 0;

/** Starts a manager with `workers` worker processes, and a server if requested, on running services. */
export async function openDeployment(services: Services, options: DeploymentOptions = {}): Promise<Deployment> {
  const { workers = 1 } = options;
  deployments += 1;
  const id = `faults-${process.pid}-${deployments}`;
  const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-faults-'));
  const stores = await createTestDatabases({ adminUrl: services.adminUrl, maxConnections: 8 });
  const failpoints = join(folder, 'failpoints');
  const config = join(folder, 'cluster-manager.yaml');
  writeFileSync(config, settingsOf(id, options));
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
  const ports = await Promise.all(Array.from({ length: workers }, () => reservePort()));
  const processes = ports.map(
    ({ port }, index) => new ProductProcess('worker', { env, port, logFile: join(folder, `${index}.log`) }),
  );
  const server = options.server ? await serverOf(env, folder, options) : undefined;
  await Promise.all([...processes, ...(server ? [server.process] : [])].map((process) => process.start()));
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
    server,
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
    check: (evidence) => checkInvariants(stores, evidence),
    close: async () => {
      await Promise.all([...processes, ...(server ? [server.process] : [])].map((process) => process.stop()));
      for (const { release } of [...ports, ...(server ? [server] : [])]) release();
      await manager.close();
      await stores.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function settingsOf(id: string, { settings = {} }: DeploymentOptions): string {
  const sections = Object.entries(settings).map(([name, keys]) => {
    const lines = Object.entries(keys).map(([key, value]) => `    ${key}: ${JSON.stringify(value)}\n`);
    return `  ${name}:\n${lines.join('')}`;
  });
  const text = readFileSync(settingsFile, 'utf8').replace('cluster-manager-1', id);
  return `${text.trimEnd()}\n${sections.join('')}`;
}

async function serverOf(
  env: Readonly<Record<string, string>> & { readonly COMMUNICATION_DATABASE_URL: string },
  folder: string,
  { via = (url) => url }: DeploymentOptions,
): Promise<DeploymentServer> {
  const { port, release } = await reservePort();
  const [adminToken, enrolmentToken] = [newToken(), newToken()];
  const process = new ProductProcess('server', {
    env: {
      ...env,
      COMMUNICATION_DATABASE_URL: via(env.COMMUNICATION_DATABASE_URL),
      CLUSTER_MANAGER_ADMIN_TOKEN: adminToken,
      CLUSTER_MANAGER_ENROLMENT_TOKEN: enrolmentToken,
    },
    port,
    logFile: join(folder, 'server.log'),
  });
  return { process, url: `http://127.0.0.1:${port}`, adminToken, enrolmentToken, release };
}
