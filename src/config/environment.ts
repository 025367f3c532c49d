import type { z } from 'zod';
import { defined } from '../contracts/defined.js';
import { bindingProblems } from './binding.js';
import { shown, type Checked } from './problems.js';
import { readTemporal, type TemporalSettings } from './temporal.js';
import { environmentVariables, variables } from './variables.js';

/** The parsed environment. Absent keys were unset or empty. */
export type Environment = ReturnType<typeof environmentOf>;

/** Environment variables and their values, as `process.env` gives them. An empty value counts as unset. */
export type RawEnvironment = Readonly<Record<string, string | undefined>>;

/** Reads and checks the variables that worker, server and command line need; others are ignored. Never throws. */
export function checkEnvironment(env: RawEnvironment): Checked<Environment> {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = variables.safeParse(present);
  const { value: temporal, problems } = readTemporal(present as Record<string, string>);
  if (!parsed.success) {
    const invalid = parsed.error.issues.map(({ path: [name], message }) => ({
      path: String(name),
      message: `is ${describeValue(String(name), present[String(name)])}; allowed: ${message}`,
    }));
    return { problems: [...problems, ...invalid] };
  }
  const all = [...problems, ...bindingProblems(parsed.data)];
  if (all.length > 0 || !temporal) return { problems: all };
  return { value: environmentOf(parsed.data, temporal), problems: [] };
}

/** Secrets are never shown, since an invalid value may be a real secret with a typing error. */
const describeValue = (name: string, value: unknown): string =>
  environmentVariables.some((variable) => variable.name === name && variable.secret)
    ? `a text of ${String(value).length} characters`
    : shown(value);

function environmentOf(values: z.output<typeof variables>, temporal: TemporalSettings) {
  const certPath = values.CLUSTER_MANAGER_TLS_CERT;
  const keyPath = values.CLUSTER_MANAGER_TLS_KEY;
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
    allowedHosts: values.CLUSTER_MANAGER_ALLOWED_HOSTS ?? [],
    logLevel: values.LOG_LEVEL,
    ...defined({
      tls: certPath && keyPath ? { certPath, keyPath } : undefined,
      url: values.CLUSTER_MANAGER_URL,
      token: values.CLUSTER_MANAGER_TOKEN,
      adminToken: values.CLUSTER_MANAGER_ADMIN_TOKEN,
      enrolmentToken: values.CLUSTER_MANAGER_ENROLMENT_TOKEN,
      workerHealthPort: values.CLUSTER_MANAGER_WORKER_HEALTH_PORT,
      workerMetricsPort: values.WORKER_METRICS_PORT,
    }),
  };
}
