import { ManagerError } from '../../contracts/errors.js';
import { ensureTemporal } from './ensure.js';
import { checkTemporal } from '../external-services.js';
import type { Launch } from '../launch.js';
import type { TemporalCli } from './programs.js';
import { reporterFor } from '../report.js';
import { reserveStackPort, retryOnPortConflict } from '../ports/stack-ports.js';
import {
  checkTemporalData,
  confirmTemporalData,
  prepareTemporalData,
  temporalNamespace,
  temporalProcess,
} from './server.js';

interface Temporal {
  readonly env: Readonly<Record<string, string>>;
  readonly urls: { readonly temporalUi?: string };
}

/**
 * Looks at what Temporal needs, and changes nothing yet.
 * @returns how to start it: the server that TEMPORAL_ADDRESS names, else a dev server under the state folder.
 */
export const prepareTemporal = async (launch: Launch): Promise<() => Promise<Temporal>> => {
  const { stateDir, report } = launch.options;
  const { environment } = launch;
  const address = environment['TEMPORAL_ADDRESS'];
  if (address) {
    const version = await checkTemporal(address, environment);
    reporterFor('temporal', report)(`server ${version ?? 'behind TLS'} at ${address}`);
    const namespace = environment['TEMPORAL_NAMESPACE'] || temporalNamespace;
    const ui = environment['TEMPORAL_UI_URL'];
    const env = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, ...(ui ? { TEMPORAL_UI_URL: ui } : {}) };
    return async () => ({ env, urls: ui ? { temporalUi: ui } : {} });
  }
  const cli = await ensureTemporal(environment, report);
  if (!cli) throw new ManagerError('internal', 'TEMPORAL_ADDRESS is not set, and no Temporal CLI was found.');
  checkTemporalData(stateDir, cli);
  return () => startDevServer(launch, cli);
};

const startDevServer = async (launch: Launch, cli: TemporalCli): Promise<Temporal> => {
  const { stateDir } = launch.options;
  prepareTemporalData(stateDir);
  const ports = await retryOnPortConflict(async () => {
    const port = await reserveStackPort(launch, 'temporal');
    const uiPort = await reserveStackPort(launch, 'temporalUi');
    const httpPort = await reserveStackPort(launch, 'temporalHttp');
    await launch.start(temporalProcess({ stateDir, cli, port, uiPort, httpPort }));
    return { port, uiPort };
  });
  confirmTemporalData(stateDir, cli);
  const ui = `http://127.0.0.1:${ports.uiPort}`;
  return {
    env: { TEMPORAL_ADDRESS: `127.0.0.1:${ports.port}`, TEMPORAL_NAMESPACE: temporalNamespace, TEMPORAL_UI_URL: ui },
    urls: { temporalUi: ui },
  };
};
