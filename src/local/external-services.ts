import { ManagerError } from '../contracts/errors.js';
import { databaseNames } from './postgres-data.js';
import { acceptsConnections } from './postgres-server.js';
import { compareVersions } from './resolution.js';
import { oldestTemporalServer } from './resolve-temporal.js';
import { temporalServerVersion } from './temporal-probe.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface DatabaseUrls {
  readonly CLUSTERS_DATABASE_URL: string;
  readonly COMMUNICATION_DATABASE_URL: string;
  readonly RESOURCES_DATABASE_URL: string;
}

const urlNames = ['CLUSTERS_DATABASE_URL', 'COMMUNICATION_DATABASE_URL', 'RESOURCES_DATABASE_URL'] as const;

const parseUrl = (name: string, text: string): URL => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.hostname) return url;
  throw new ManagerError(
    'invalid_configuration',
    `${name} is not a PostgreSQL URL. Allowed: postgres://user:password@host:port/database.`,
  );
};

/**
 * The databases named by the environment: three URLs, or DATABASE_URL whose server holds all three by their usual names.
 * @returns undefined when the environment names none: then a server is managed here.
 * @throws ManagerError invalid_configuration when only some of the three are set, or one is no URL.
 */
export const externalDatabases = (environment: Environment): DatabaseUrls | undefined => {
  const shared = environment['DATABASE_URL'];
  const missing = urlNames.filter((name) => !environment[name]);
  if (!shared && missing.length === urlNames.length) return undefined;
  if (!shared && missing.length > 0) {
    throw new ManagerError(
      'invalid_configuration',
      `${missing.join(' and ')} is not set, though another database URL is. Set all three, DATABASE_URL alone, or none.`,
    );
  }
  const urls = urlNames.map((name, index) => {
    const own = environment[name];
    if (own) return [name, parseUrl(name, own).href] as const;
    const url = parseUrl('DATABASE_URL', shared ?? '');
    url.pathname = `/${databaseNames[index]}`;
    return [name, url.href] as const;
  });
  return Object.fromEntries(urls) as unknown as DatabaseUrls;
};

/** @throws ManagerError service_unavailable, naming host and port, when a database's server does not let clients in. */
export const checkDatabases = async (urls: DatabaseUrls): Promise<void> => {
  for (const name of urlNames) {
    const url = new URL(urls[name]);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || 5432);
    if (await acceptsConnections(host, port, 5_000)) continue;
    throw new ManagerError(
      'service_unavailable',
      `No PostgreSQL server answers at ${host}:${port} (${name}). Start it or correct the address; unset it to have one managed here.`,
    );
  }
};

/**
 * The version of the Temporal server at TEMPORAL_ADDRESS.
 * @throws ManagerError service_unavailable when it does not answer, incompatible_service when it is too old.
 */
export const checkTemporal = async (address: string): Promise<string> => {
  const version = await temporalServerVersion(address).catch((error: unknown) => {
    throw new ManagerError(
      'service_unavailable',
      `No Temporal server answers at TEMPORAL_ADDRESS=${address} (${error instanceof Error ? error.message : String(error)}). Start it or correct the address; unset it to have one managed here.`,
      { cause: error },
    );
  });
  if (compareVersions(version, oldestTemporalServer) >= 0) return version;
  throw new ManagerError(
    'incompatible_service',
    `The Temporal server at ${address} has version ${version}; ${oldestTemporalServer} or later is needed. Upgrade it, or unset TEMPORAL_ADDRESS.`,
  );
};
