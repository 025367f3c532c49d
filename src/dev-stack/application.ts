import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ManagerError } from '../contracts/errors.js';
import { reserveStackPort, preferredPorts } from './ports/stack-ports.js';
import { reserveExactPort } from './ports/reserve-port.js';
import { packageFolder } from './paths.js';
import type { Launch } from './launch.js';
import type { ProcessSpec } from './processes/supervised-process.js';

const scripts = {
  worker: join(packageFolder, 'dist', 'worker.js'),
  server: join(packageFolder, 'dist', 'server.js'),
};

const configFile = (launch: Launch): string => {
  const chosen = launch.environment['CLUSTER_MANAGER_CONFIG'];
  if (chosen) return resolve(chosen);
  const here = resolve('cluster-manager.yaml');
  return existsSync(here) ? here : join(packageFolder, 'cluster-manager.yaml');
};

const apiPort = async (launch: Launch): Promise<number> => {
  const { apiPort: chosen, ports } = launch.options;
  if (chosen === undefined && ports === 'free') return reserveStackPort(launch, 'api');
  const port = chosen ?? preferredPorts.api;
  const reserved = await reserveExactPort(port);
  if (!reserved) {
    throw new ManagerError(
      'port_busy',
      `Port ${port} on 127.0.0.1 is in use by another program. Stop it, or choose another port: --port ${port + 1}.`,
    );
  }
  launch.onStopped(reserved.release);
  return port;
};

const nodeProcess = (
  launch: Launch,
  name: string,
  script: string,
  env: Readonly<Record<string, string>>,
  isReady: ProcessSpec['isReady'],
): ProcessSpec => ({
  name,
  command: process.execPath,
  args: [script],
  env: { ...launch.environment, ...env },
  cwd: process.cwd(),
  logFile: join(launch.options.stateDir, 'logs', `${name}.log`),
  marker: script,
  stopSignals: ['SIGTERM'],
  graceMs: 20_000,
  readyTimeoutMs: 60_000,
  isReady,
});

const answersOk = async (url: string): Promise<boolean> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
};

/**
 * What the application needs before anything is started, so that a refusal costs no start.
 * @returns the API's port, claimed.
 * @throws ManagerError port_busy when the API's port is taken, service_unavailable when the build has not run.
 */
export const prepareApplication = async (launch: Launch): Promise<number> => {
  const port = await apiPort(launch);
  for (const script of Object.values(scripts)) {
    if (existsSync(script)) continue;
    throw new ManagerError('service_unavailable', `${script} is not there: the build has not run. Run: npm run setup`);
  }
  return port;
};

/** Starts the workers and the HTTP server, all at once. */
export const startApplication = async (
  launch: Launch,
  port: number,
  data: Readonly<Record<string, string>>,
): Promise<{ readonly env: Readonly<Record<string, string>>; readonly urls: { readonly api: string } }> => {
  const url = `http://127.0.0.1:${port}`;
  const env: Record<string, string> = {
    CLUSTER_MANAGER_CONFIG: configFile(launch),
    CLUSTER_MANAGER_ADMIN_TOKEN: launch.environment['CLUSTER_MANAGER_ADMIN_TOKEN'] || launch.secrets.adminToken,
    CLUSTER_MANAGER_ENROLMENT_TOKEN:
      launch.environment['CLUSTER_MANAGER_ENROLMENT_TOKEN'] || launch.secrets.enrolmentToken,
  };
  const serverEnv = { ...data, ...env, CLUSTER_MANAGER_HOST: '127.0.0.1', CLUSTER_MANAGER_PORT: String(port) };
  const specs = [nodeProcess(launch, 'server', scripts.server, serverEnv, () => answersOk(`${url}/readyz`))];
  for (let number = 1; number <= (launch.options.workers ?? 1); number++) {
    const metricsPort = String(await reserveStackPort(launch, 'workerMetrics'));
    const healthPort = String(await reserveStackPort(launch, 'workerHealth'));
    const workerEnv = {
      ...data,
      ...env,
      CLUSTER_MANAGER_WORKER_HEALTH_PORT: healthPort,
      WORKER_METRICS_PORT: metricsPort,
    };
    const isReady = (): Promise<boolean> => answersOk(`http://127.0.0.1:${healthPort}/readyz`);
    specs.push(nodeProcess(launch, `worker-${number}`, scripts.worker, workerEnv, isReady));
  }
  const starts = specs.map((spec) => launch.start(spec));
  await Promise.allSettled(starts);
  await Promise.all(starts);
  return { env: { ...env, CLUSTER_MANAGER_URL: url }, urls: { api: url } };
};
