import { compareVersions } from 'compare-versions';
import { ManagerError, messageOf } from '../contracts/errors.js';
import { acceptsConnections } from './postgres/probe.js';
import { temporalServerVersion } from './temporal/probe.js';
import { oldestTemporalServer } from './temporal/programs.js';

const databaseVariables = ['CLUSTERS_DATABASE_URL', 'COMMUNICATION_DATABASE_URL', 'RESOURCES_DATABASE_URL'] as const;

/**
 * The databases named by the environment: DATABASE_URL for all three, a URL of its own for each, or both.
 * @returns the variables that are set, undefined when none is: then the stack runs a server of its own.
 * @throws ManagerError invalid_configuration when a database would have no URL.
 */
export const externalDatabases = (environment: NodeJS.ProcessEnv): Readonly<Record<string, string>> | undefined => {
  const urls = ['DATABASE_URL', ...databaseVariables].flatMap((name) => {
    const url = environment[name];
    return url ? [[name, url] as const] : [];
  });
  if (urls.length === 0) return undefined;
  const missing = databaseVariables.filter((name) => !environment[name]);
  if (!environment['DATABASE_URL'] && missing.length > 0) {
    throw new ManagerError(
      'invalid_configuration',
      `${missing.join(' and ')} is not set, though another database URL is. Set all three, DATABASE_URL, or none.`,
    );
  }
  return Object.fromEntries(urls);
};

/** @throws ManagerError service_unavailable, with host and port, when a database's server does not accept connections. */
export const checkDatabases = async (urls: Readonly<Record<string, string>>): Promise<void> => {
  for (const [name, text] of Object.entries(urls)) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || !/^postgres(ql)?:$/.test(url.protocol) || !url.hostname) {
      throw new ManagerError(
        'invalid_configuration',
        `${name} is not a PostgreSQL URL. Allowed: postgres://user:password@host:port/database.`,
      );
    }
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || 5432);
    if (await acceptsConnections(host, port, 5_000)) continue;
    throw new ManagerError(
      'service_unavailable',
      `No PostgreSQL server accepts connections at ${host}:${port} (${name}). Start it or correct the address; ` +
        'unset the variable to run a server on this machine.',
    );
  }
};

/**
 * Checks the Temporal server that the environment names.
 * @returns its version; undefined for a server behind TLS, which only the SDK's own connection can ask.
 * @throws ManagerError service_unavailable when it does not answer, incompatible_service when it is too old.
 */
export const checkTemporal = async (address: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> => {
  const usesTls = Object.keys(environment).some((name) => /^TEMPORAL_(TLS|API_KEY)/.test(name) && environment[name]);
  if (usesTls) return undefined;
  const version = await temporalServerVersion(address).catch((error: unknown) => {
    throw new ManagerError(
      'service_unavailable',
      `No Temporal server answers at TEMPORAL_ADDRESS=${address} (${messageOf(error)}). Start it or correct the address; ` +
        'unset the variable to run a server on this machine.',
      { cause: error },
    );
  });
  if (compareVersions(version, oldestTemporalServer) >= 0) return version;
  throw new ManagerError(
    'incompatible_service',
    `The Temporal server at ${address} has version ${version}; ${oldestTemporalServer} or later is needed. Upgrade it, or unset TEMPORAL_ADDRESS.`,
  );
};
