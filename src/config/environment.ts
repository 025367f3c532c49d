import { z } from 'zod';
import type { Problem } from '../contracts/errors.js';
import { bindingProblem } from './binding.js';
import { configurationError, shown } from './problems.js';
import { readTemporal, type TemporalSettings } from './temporal.js';
import { environmentVariables } from './variables.js';

export { environmentVariables };

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** The parsed environment. Absent keys were unset or empty. */
export interface Environment {
  /** The settings file. */
  readonly configPath: string;
  readonly databaseUrls: {
    readonly base?: string;
    readonly clusters?: string;
    readonly communication?: string;
    readonly resources?: string;
  };
  readonly temporal: TemporalSettings;
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly certPath: string; readonly keyPath: string };
  readonly behindProxy: boolean;
  /** Host names that the API accepts in addition to loopback and `host`. */
  readonly allowedHosts: readonly string[];
  /** The API's URL and the token that the CLI uses. */
  readonly url?: string;
  readonly token?: string;
  readonly adminToken?: string;
  readonly enrolmentToken?: string;
  readonly workerHealthPort?: number;
  readonly workerMetricsPort?: number;
  readonly logLevel: LogLevel;
}

const portAllowed =
  'a port number from 0 to 65535 (Kubernetes sets such names for its services: enableServiceLinks: false stops that)';
const port = z
  .string()
  .regex(/^\d{1,5}$/, portAllowed)
  .transform(Number)
  .refine((value) => value <= 65_535, portAllowed);

const hostAllowed = 'a host name or IP address without scheme, port or path, such as 127.0.0.1';
const host = z.string().refine((text) => isHost(text), hostAllowed);

const isHost = (text: string): boolean =>
  /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text) || /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(text);

const flag = z
  .enum(['1', 'true', '0', 'false'], '1, true, 0 or false')
  .transform((text) => text === '1' || text === 'true');

const hostList = z
  .string()
  .transform((text) => text.split(',').map((item) => item.trim().toLowerCase()))
  .refine((list) => list.every((item) => isHost(item.replace(/:\d+$/, ''))), 'host names separated by commas');

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

const tokenAllowed = '32 to 512 letters, digits, "-", "_", "." or "~"';
const token = z.string().regex(/^[A-Za-z0-9._~-]{32,512}$/, tokenAllowed);

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const satisfies LogLevel[];

const schema = z.object({
  CLUSTER_MANAGER_CONFIG: z.string().default('cluster-manager.yaml'),
  DATABASE_URL: databaseUrl.optional(),
  CLUSTERS_DATABASE_URL: databaseUrl.optional(),
  COMMUNICATION_DATABASE_URL: databaseUrl.optional(),
  RESOURCES_DATABASE_URL: databaseUrl.optional(),
  TEMPORAL_UI_URL: webUrl.optional(),
  CLUSTER_MANAGER_HOST: host.default('127.0.0.1'),
  CLUSTER_MANAGER_PORT: port.default(8420),
  CLUSTER_MANAGER_TLS_CERT: z.string().optional(),
  CLUSTER_MANAGER_TLS_KEY: z.string().optional(),
  CLUSTER_MANAGER_BEHIND_PROXY: flag.default(false),
  CLUSTER_MANAGER_ALLOWED_HOSTS: hostList.default([]),
  CLUSTER_MANAGER_URL: webUrl.optional(),
  CLUSTER_MANAGER_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'visible ASCII characters without spaces')
    .optional(),
  CLUSTER_MANAGER_ADMIN_TOKEN: token.optional(),
  CLUSTER_MANAGER_ENROLMENT_TOKEN: token.optional(),
  CLUSTER_MANAGER_WORKER_HEALTH_PORT: port.optional(),
  WORKER_METRICS_PORT: port.optional(),
  LOG_LEVEL: z.enum(logLevels, `one of ${logLevels.join(', ')}`).default('info'),
});

/** Environment variables and their values, as `process.env` gives them. An empty value counts as unset. */
export type RawEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * Reads and checks the variables that worker, server and command line need; others are ignored.
 * @throws ManagerError `invalid_configuration` that lists every problem.
 */
export function readEnvironment(env: RawEnvironment): Environment {
  const { environment, problems } = checkEnvironment(env);
  if (!environment) throw configurationError('The environment', problems);
  return environment;
}

/** Like `readEnvironment`, but returns the problems, so that they can be reported with those of the settings file. */
export function checkEnvironment(env: RawEnvironment): {
  readonly environment?: Environment;
  readonly problems: readonly Problem[];
} {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = schema.safeParse(present);
  const { temporal, problems: temporalProblems } = readTemporal(present as Record<string, string>);
  const problems: Problem[] = [...temporalProblems];
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0]);
      problems.push({ path: name, message: `is ${describeValue(name, present[name])}; allowed: ${issue.message}` });
    }
    return { problems };
  }
  const values = parsed.data;
  const binding = bindingProblem(values);
  if (binding) problems.push(binding);
  if (problems.length > 0 || !temporal) return { problems };
  return { environment: environmentOf(values, temporal), problems };
}

/** Secrets are never shown, since an invalid value may be a real secret with a typing error. */
const describeValue = (name: string, value: unknown): string =>
  environmentVariables.some((variable) => variable.name === name && variable.secret)
    ? `a text of ${String(value).length} characters`
    : shown(value);

function environmentOf(values: z.output<typeof schema>, temporal: TemporalSettings): Environment {
  const tls =
    values.CLUSTER_MANAGER_TLS_CERT && values.CLUSTER_MANAGER_TLS_KEY
      ? { certPath: values.CLUSTER_MANAGER_TLS_CERT, keyPath: values.CLUSTER_MANAGER_TLS_KEY }
      : undefined;
  return {
    configPath: values.CLUSTER_MANAGER_CONFIG,
    databaseUrls: defined({
      base: values.DATABASE_URL,
      clusters: values.CLUSTERS_DATABASE_URL,
      communication: values.COMMUNICATION_DATABASE_URL,
      resources: values.RESOURCES_DATABASE_URL,
    }),
    temporal: { ...temporal, ...defined({ uiUrl: values.TEMPORAL_UI_URL }) },
    host: values.CLUSTER_MANAGER_HOST,
    port: values.CLUSTER_MANAGER_PORT,
    behindProxy: values.CLUSTER_MANAGER_BEHIND_PROXY,
    allowedHosts: values.CLUSTER_MANAGER_ALLOWED_HOSTS,
    logLevel: values.LOG_LEVEL,
    ...defined({
      tls,
      url: values.CLUSTER_MANAGER_URL,
      token: values.CLUSTER_MANAGER_TOKEN,
      adminToken: values.CLUSTER_MANAGER_ADMIN_TOKEN,
      enrolmentToken: values.CLUSTER_MANAGER_ENROLMENT_TOKEN,
      workerHealthPort: values.CLUSTER_MANAGER_WORKER_HEALTH_PORT,
      workerMetricsPort: values.WORKER_METRICS_PORT,
    }),
  };
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Drops undefined values, which `exactOptionalPropertyTypes` distinguishes from absent ones. */
const defined = <T extends object>(values: T): Defined<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
