import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ManagerError } from '../contracts/errors.js';
import type { Launch } from './launch.js';
import { packageFolder } from './paths.js';
import { reserveApiPort, reserveStackPort } from './ports.js';
import type { ProcessSpec } from './processes/supervised-process.js';

type Variables = Readonly<Record<string, string>>;

const scriptOf = (program: 'server' | 'worker'): string => join(packageFolder, 'dist', `${program}.js`);

/**
 * Checks what the application needs before any service is started.
 * @returns the API's port, reserved.
 * @throws ManagerError port_busy when the API's port is in use, service_unavailable when the project is not built.
 */
export const prepareApplication = async (launch: Launch): Promise<number> => {
  const port = await reserveApiPort(launch);
  const missing = [scriptOf('worker'), scriptOf('server')].find((script) => !existsSync(script));
  if (missing === undefined) return port;
  throw new ManagerError(
    'service_unavailable',
    `${missing} does not exist: the project is not built. Run: npm run setup`,
  );
};

const configFile = (launch: Launch): string => {
  const chosen = launch.environment['CLUSTER_MANAGER_CONFIG'];
  if (chosen) return resolve(chosen);
  const here = resolve('cluster-manager.yaml');
  return existsSync(here) ? here : join(packageFolder, 'cluster-manager.yaml');
};

const answersReady = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) }).then(
    async (response) => {
      await response.body?.cancel();
      return response.status === 200;
    },
    () => false,
  );

/** A server or worker as a supervised process. `readyPort` is the loopback port of its `GET /readyz`. */
const nodeProcess = (
  launch: Launch,
  options: {
    readonly name: string;
    readonly program: 'server' | 'worker';
    readonly env: Variables;
    readonly readyPort: number;
  },
): ProcessSpec => {
  const script = scriptOf(options.program);
  return {
    name: options.name,
    command: process.execPath,
    args: [script],
    env: { ...launch.environment, ...options.env },
    cwd: process.cwd(),
    logFile: join(launch.options.stateDir, 'logs', `${options.name}.log`),
    marker: script,
    stopSignals: ['SIGTERM'],
    graceMs: 20_000,
    readyTimeoutMs: 60_000,
    isReady: () => answersReady(options.readyPort),
  };
};

const workerProcess = async (launch: Launch, index: number, env: Variables): Promise<ProcessSpec> => {
  const metricsPort = await reserveStackPort(launch, 'workerMetrics', index);
  const readyPort = await reserveStackPort(launch, 'workerHealth', index);
  const ports = { WORKER_METRICS_PORT: String(metricsPort), CLUSTER_MANAGER_WORKER_HEALTH_PORT: String(readyPort) };
  return nodeProcess(launch, { name: `worker-${index + 1}`, program: 'worker', env: { ...env, ...ports }, readyPort });
};

/** Starts the workers and the HTTP server, all at once. */
export const startApplication = async (
  launch: Launch,
  port: number,
  data: Variables,
): Promise<{ readonly env: Variables; readonly urls: { readonly api: string } }> => {
  const { environment, secrets, options } = launch;
  const env: Variables = {
    CLUSTER_MANAGER_CONFIG: configFile(launch),
    CLUSTER_MANAGER_ADMIN_TOKEN: environment['CLUSTER_MANAGER_ADMIN_TOKEN'] || secrets.adminToken,
    CLUSTER_MANAGER_ENROLMENT_TOKEN: environment['CLUSTER_MANAGER_ENROLMENT_TOKEN'] || secrets.enrolmentToken,
  };
  const common = { ...data, ...env };
  const serverEnv = { ...common, CLUSTER_MANAGER_HOST: '127.0.0.1', CLUSTER_MANAGER_PORT: String(port) };
  const specs = [nodeProcess(launch, { name: 'server', program: 'server', env: serverEnv, readyPort: port })];
  for (let index = 0; index < (options.workers ?? 1); index++) {
    specs.push(await workerProcess(launch, index, common));
  }
  const starts = specs.map((spec) => launch.start(spec));
  // Waits for all even when one fails: otherwise the clean-up would miss a process that still starts.
  await Promise.allSettled(starts);
  await Promise.all(starts);
  const url = `http://127.0.0.1:${port}`;
  return { env: { ...env, CLUSTER_MANAGER_URL: url }, urls: { api: url } };
};
