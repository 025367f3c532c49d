import { ManagerError } from '../contracts/errors.js';
import { ensurePostgres } from './ensure-postgres.js';
import { ensureTemporal } from './ensure-temporal.js';
import { checkDatabases, checkTemporal, externalDatabases } from './external-services.js';
import { reservePort } from './free-port.js';
import { corruptStateFolder } from './json-file.js';
import { databaseNames, ensurePostgresData, otherMajor, postgresDataFolder, writtenMajor } from './postgres-data.js';
import { postgresProcess } from './postgres-server.js';
import type { Launch } from './stack.js';
import { reporterFor } from './stack-event.js';
import { confirmTemporalData, prepareTemporalData, temporalNamespace, temporalProcess } from './temporal-server.js';
import { stampVersion } from './versions.js';

/** All below 32768, where the kernel does not hand out ports of its own accord. */
export const preferredPorts = {
  api: 8420,
  temporal: 7233,
  temporalUi: 8233,
  temporalHttp: 7243,
  postgres: 5433,
  workerMetrics: 9464,
} as const;

type Part = keyof typeof preferredPorts;

/** Claims a port for the stack's life; says so when the preferred one is taken. */
export const portFor = async (launch: Launch, part: Part): Promise<number> => {
  const preferred = launch.options.ports === 'free' ? undefined : preferredPorts[part];
  const reserved = await reservePort(preferred);
  launch.onStopped(reserved.release);
  if (preferred !== undefined && reserved.port !== preferred) {
    reporterFor(part, launch.options.report)(`port ${preferred} is in use: ${reserved.port} is taken instead`, 'warn');
  }
  return reserved.port;
};

/** Other programs do not know our claims: one may take the port in the moment before the server binds it. */
const withFreshPorts = async <Result>(start: () => Promise<Result>): Promise<Result> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      const taken =
        error instanceof ManagerError && /address already in use|EADDRINUSE|could not bind/i.test(error.message);
      if (!taken || attempt === 5) throw error;
    }
  }
};

/** The three databases: those that the environment names, else a server under the state folder. */
export const startDatabases = async (
  launch: Launch,
): Promise<{ readonly env: Readonly<Record<string, string>>; readonly adminUrl?: string }> => {
  const { stateDir, report, durable = true } = launch.options;
  const external = externalDatabases(launch.environment);
  if (external) {
    await checkDatabases(external);
    return { env: external };
  }
  const major = writtenMajor(stateDir);
  const binaries = await ensurePostgres(launch.environment, report, major).catch((error: unknown) => {
    throw major !== undefined && error instanceof ManagerError && error.code === 'service_unavailable'
      ? otherMajor(stateDir, major)
      : error;
  });
  if (!binaries) throw new ManagerError('internal', 'No databases are named, and no PostgreSQL was found for them.');
  if (major === undefined) reporterFor('postgres', report)('making the databases');
  await ensurePostgresData(stateDir, binaries, launch.secrets);
  const port = await withFreshPorts(async () => {
    const chosen = await portFor(launch, 'postgres');
    await launch.start(postgresProcess({ stateDir, binaries, port: chosen, durable })).catch((error: unknown) => {
      throw damaged(stateDir, error);
    });
    return chosen;
  });
  stampVersion(stateDir, { postgres: binaries.version });
  const url = (user: keyof typeof launch.secrets.postgres): string =>
    `postgres://${user}:${launch.secrets.postgres[user]}@127.0.0.1:${port}/${user}`;
  const [clusters, communication, resources] = databaseNames;
  return {
    env: {
      CLUSTERS_DATABASE_URL: url(clusters),
      COMMUNICATION_DATABASE_URL: url(communication),
      RESOURCES_DATABASE_URL: url(resources),
    },
    adminUrl: url('postgres'),
  };
};

/** PostgreSQL names damage in its log; a person needs to hear of the folder and the way out. */
const damaged = (stateDir: string, error: unknown): unknown => {
  const signs =
    /could not locate a valid checkpoint|invalid (primary )?checkpoint|control file|incorrect checksum|PANIC|could not open (file|directory)|syntax error in file|invalid data in/i;
  return error instanceof ManagerError && signs.test(error.message)
    ? corruptStateFolder(
        stateDir,
        `PostgreSQL cannot open its data in ${postgresDataFolder(stateDir)}: ${error.message}`,
        error,
      )
    : error;
};

/** Temporal: the server that TEMPORAL_ADDRESS names, else a dev server under the state folder. */
export const startTemporal = async (
  launch: Launch,
): Promise<{ readonly env: Readonly<Record<string, string>>; readonly urls: { readonly temporalUi?: string } }> => {
  const { stateDir, report } = launch.options;
  const { environment } = launch;
  const address = environment['TEMPORAL_ADDRESS'];
  if (address) {
    const namespace = environment['TEMPORAL_NAMESPACE'] || temporalNamespace;
    const version = await checkTemporal(address, environment);
    reporterFor('temporal', report)(`server ${version ?? 'behind TLS'} at ${address}`);
    const ui = environment['TEMPORAL_UI_URL'];
    return {
      env: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, ...(ui ? { TEMPORAL_UI_URL: ui } : {}) },
      urls: ui ? { temporalUi: ui } : {},
    };
  }
  const cli = await ensureTemporal(environment, report);
  if (!cli) throw new ManagerError('internal', 'TEMPORAL_ADDRESS is not set, and no Temporal CLI was found.');
  prepareTemporalData(stateDir, cli);
  const ports = await withFreshPorts(async () => {
    const [port, uiPort, httpPort] = [
      await portFor(launch, 'temporal'),
      await portFor(launch, 'temporalUi'),
      await portFor(launch, 'temporalHttp'),
    ];
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
