import { checkTemporal } from '../external-services.js';
import type { Program } from '../find-program.js';
import type { Launch } from '../launch.js';
import { reserveStackPort, retryOnPortConflict } from '../ports.js';
import { logFor } from '../report.js';
import { checkTemporalData, confirmTemporalData, prepareTemporalData } from './data-file.js';
import { ensureTemporal } from './programs.js';
import { temporalNamespace, temporalProcess } from './server.js';

interface Temporal {
  readonly env: Readonly<Record<string, string>>;
  readonly urls: { readonly temporalUi?: string };
}

/**
 * Finds and checks what Temporal needs, without changing the state folder.
 * @returns a function that starts it: the server that TEMPORAL_ADDRESS names, else a development server.
 */
export const prepareTemporal = async (launch: Launch): Promise<() => Promise<Temporal>> => {
  const { environment, options } = launch;
  const address = environment['TEMPORAL_ADDRESS'];
  if (address) {
    const version = await checkTemporal(address, environment);
    logFor('temporal', options.report)(`external server ${version ?? 'behind TLS'} at ${address}`);
    const namespace = environment['TEMPORAL_NAMESPACE'] || temporalNamespace;
    const ui = environment['TEMPORAL_UI_URL'];
    const env = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, ...(ui ? { TEMPORAL_UI_URL: ui } : {}) };
    return async () => ({ env, urls: ui ? { temporalUi: ui } : {} });
  }
  const cli = await ensureTemporal(environment, options.report);
  checkTemporalData(options.stateDir, cli);
  return () => startDevServer(launch, cli);
};

const startDevServer = async (launch: Launch, cli: Program): Promise<Temporal> => {
  const { stateDir } = launch.options;
  prepareTemporalData(stateDir);
  const { port, uiPort } = await retryOnPortConflict(async () => {
    const ports = {
      port: await reserveStackPort(launch, 'temporal'),
      uiPort: await reserveStackPort(launch, 'temporalUi'),
      httpPort: await reserveStackPort(launch, 'temporalHttp'),
    };
    await launch.start(temporalProcess(stateDir, cli, ports));
    return ports;
  });
  confirmTemporalData(stateDir, cli);
  const ui = `http://127.0.0.1:${uiPort}`;
  return {
    env: { TEMPORAL_ADDRESS: `127.0.0.1:${port}`, TEMPORAL_NAMESPACE: temporalNamespace, TEMPORAL_UI_URL: ui },
    urls: { temporalUi: ui },
  };
};
