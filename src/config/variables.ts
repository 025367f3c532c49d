import { z } from 'zod';

const port = z
  .string()
  .transform((text) => (/^\d{1,5}$/.test(text) ? Number(text) : Number.NaN))
  .refine(
    (value) => value <= 65_535,
    'a port number from 0 to 65535 (Kubernetes sets such names for its services: enableServiceLinks: false stops that)',
  );

const isHost = (text: string): boolean =>
  /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text) || /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(text);

const host = z.string().refine(isHost, 'a host name or IP address without scheme, port or path, such as 127.0.0.1');

const hostList = z
  .string()
  .transform((text) => text.split(',').map((item) => item.trim().toLowerCase()))
  .refine((list) => list.every((item) => isHost(item.replace(/:\d+$/, ''))), 'host names separated by commas');

const flag = z
  .enum(['1', 'true', '0', 'false'], '1, true, 0 or false')
  .transform((text) => text === '1' || text === 'true');

const webUrl = z
  .string()
  .refine((text) => /^https?:\/\/./.test(text) && URL.canParse(text), 'an http:// or https:// URL')
  .transform((text) => text.replace(/\/+$/, ''));

const databaseUrl = z
  .string()
  .refine(
    (text) => /^postgres(ql)?:\/\/./.test(text) && URL.canParse(text),
    'a postgres:// URL such as postgres://user:password@host:5432/clusters_db',
  );

const temporalAddress = z
  .string()
  .regex(/^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/, 'host:port without a scheme, such as 127.0.0.1:7233');

const issuedToken = z.string().regex(/^[A-Za-z0-9._~-]{32,512}$/, '32 to 512 letters, digits, "-", "_", "." or "~"');
const sentToken = z.string().regex(/^[\x21-\x7e]+$/, 'visible ASCII characters without spaces');

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const logLevel = z.enum(logLevels, `one of ${logLevels.join(', ')}`);

const text = z.string();
const optional = <Schema extends z.ZodType>(schema: Schema, meaning: string) => schema.optional().describe(meaning);
const secret = <Schema extends z.ZodType>(schema: Schema, meaning: string) =>
  optional(schema, meaning).meta({ secret: true });
const withDefault = <Schema extends z.ZodType>(schema: Schema, fallback: z.input<Schema>, meaning: string) =>
  schema.prefault(fallback).describe(meaning);

/**
 * Every environment variable that is read: schema, default as text that the schema parses, and meaning, in the order of
 * docs/configuration.md.
 */
export const variables = z.object({
  CLUSTER_MANAGER_CONFIG: withDefault(text, 'cluster-manager.yaml', 'Path of the settings file.'),
  DATABASE_URL: secret(
    databaseUrl,
    'URL of a PostgreSQL server that holds all three databases, under the names in the settings file.',
  ),
  CLUSTERS_DATABASE_URL: secret(databaseUrl, 'URL of the clusters database; overrides DATABASE_URL.'),
  COMMUNICATION_DATABASE_URL: secret(databaseUrl, 'URL of the communication database; overrides DATABASE_URL.'),
  RESOURCES_DATABASE_URL: secret(databaseUrl, 'URL of the resources database; overrides DATABASE_URL.'),
  TEMPORAL_ADDRESS: withDefault(temporalAddress, '127.0.0.1:7233', 'Address of the Temporal server, as host:port.'),
  TEMPORAL_NAMESPACE: withDefault(text, 'default', 'Temporal namespace.'),
  TEMPORAL_API_KEY: secret(text, 'API key of Temporal Cloud; enables TLS.'),
  TEMPORAL_TLS: optional(text, '1 or true: connect to the Temporal server over TLS.'),
  TEMPORAL_TLS_CLIENT_CERT_PATH: optional(text, 'PEM file with the client certificate for mTLS with Temporal.'),
  TEMPORAL_TLS_CLIENT_KEY_PATH: optional(text, 'PEM file with the private key of the client certificate.'),
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: optional(
    text,
    "PEM file with the CA certificate that the Temporal server's certificate is checked against.",
  ),
  TEMPORAL_TLS_SERVER_NAME: optional(text, "Host name expected in the Temporal server's certificate."),
  TEMPORAL_UI_URL: optional(webUrl, "Base URL of Temporal's web UI, for the links that operations show."),
  TEMPORAL_CLI_PATH: optional(text, "Path of the temporal executable for the manager's own Temporal server."),
  POSTGRES_BIN_DIR: optional(text, "Folder of the PostgreSQL executables for the manager's own server."),
  CLUSTER_MANAGER_HOST: withDefault(host, '127.0.0.1', 'Address that the API listens on.'),
  CLUSTER_MANAGER_PORT: withDefault(port, '8420', 'Port that the API listens on; 0 picks a free port.'),
  CLUSTER_MANAGER_TLS_CERT: optional(text, "PEM file with the API's certificate chain."),
  CLUSTER_MANAGER_TLS_KEY: optional(text, "PEM file with the private key of the API's certificate."),
  CLUSTER_MANAGER_BEHIND_PROXY: withDefault(
    flag,
    '0',
    '1: a proxy in front of the API terminates TLS, so the API may listen beyond loopback.',
  ),
  CLUSTER_MANAGER_ALLOWED_HOSTS: optional(
    hostList,
    'Host names, separated by commas, that the API accepts in addition to loopback and CLUSTER_MANAGER_HOST.',
  ),
  CLUSTER_MANAGER_URL: optional(webUrl, 'URL of the API, for the command line and agents.'),
  CLUSTER_MANAGER_TOKEN: secret(sentToken, 'Bearer token that the command line sends.'),
  CLUSTER_MANAGER_ADMIN_TOKEN: secret(issuedToken, 'First admin token that the API accepts.'),
  CLUSTER_MANAGER_ENROLMENT_TOKEN: secret(
    issuedToken,
    'Enrolment token with which a new agent registers and receives its own token.',
  ),
  CLUSTER_MANAGER_HOME: withDefault(text, '.cluster-manager', 'Folder for the state of a local stack.'),
  CLUSTER_MANAGER_CACHE: withDefault(text, '~/.cache/cluster-manager', 'Folder for downloaded and built servers.'),
  CLUSTER_MANAGER_WORKER_HEALTH_PORT: optional(
    port,
    "Loopback port of the worker's `GET /readyz`: 200 while it polls for tasks, otherwise 503. Unset: no endpoint.",
  ),
  WORKER_METRICS_PORT: optional(port, "Loopback port of the worker's Prometheus metrics. Unset: no endpoint."),
  LOG_LEVEL: withDefault(
    logLevel,
    'info',
    'Lowest level that is logged: trace, debug, info, warn, error, fatal or silent.',
  ),
  CLUSTER_MANAGER_FAILPOINTS: optional(
    text,
    'File that lists the points at which to crash, one per line; only for fault tests.',
  ),
});

export const environmentVariables = Object.entries(variables.shape).map(([name, schema]) => ({
  name,
  meaning: schema.description ?? '',
  default: schema instanceof z.ZodPrefault ? String(schema.def.defaultValue) : undefined,
  secret: schema.meta()?.['secret'] === true,
}));
