import { Client, Connection } from '@temporalio/client';
import { inject } from 'vitest';
import type { z } from 'zod';
import { createApi } from '../../src/http/app.js';
import type { Api, ApiDeps } from '../../src/http/deps.js';
import { listen } from '../../src/http/listen.js';
import { openMessaging } from '../../src/messaging/open-messaging.js';
import { openApiDeps } from '../../src/http/open-api-deps.js';
import type { MaintenanceDeps } from '../../src/maintenance/deps.js';
import { ensureSearchAttributes } from '../../src/client/ensure-search-attributes.js';
import { createClusterManagerClient, type ClusterManagerClient } from '../../src/client/index.js';
import { loadConfig, type ManagerConfig } from '../../src/config/index.js';
import type { Endpoint } from '../../src/contracts/endpoint.js';
import { endpoints } from '../../src/contracts/endpoints.js';
import type { OperationView } from '../../src/contracts/operations.js';
import { problem } from '../../src/contracts/problem.js';
import { insertToken, newToken } from '../../src/stores/clusters/index.js';
import { createLogger, createMetrics } from '../../src/telemetry/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

export interface Call {
  readonly token?: string | undefined;
  readonly body?: unknown;
  /** Sent unchanged in place of `body`. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface TestApi {
  readonly api: Api;
  readonly deps: ApiDeps;
  /** The dependencies of the periodic tasks, none of which runs. */
  readonly maintenance: MaintenanceDeps;
  readonly databases: TestDatabases;
  readonly url: string;
  readonly tokens: {
    readonly admin: string;
    readonly orchestrator: string;
    readonly viewer: string;
    readonly enrolment: string;
  };
  /** What the API logged, one JSON line each. */
  readonly log: string[];
  configure(change: Partial<ManagerConfig>): void;
  /** Calls the API. @throws when the answer differs from its description in the endpoint table. */
  call(method: string, path: string, call?: Call): Promise<Answer>;
  /** Registers an agent. @returns its token. */
  register(id: string, more?: object): Promise<string>;
  stop(): Promise<void>;
}

/** The API over real databases and a real Temporal server, on its own port. There is no worker, so workflows stay running. */
export async function startTestApi(
  options: {
    readonly databases?: TestDatabases;
    readonly client?: ClusterManagerClient;
    /** Replaces these settings of the settings file. */
    readonly communication?: Partial<ManagerConfig['communication']>;
    readonly streamPingMs?: number;
  } = {},
): Promise<TestApi> {
  const databases = options.databases ?? (await createTestDatabases());
  const { address, namespace } = inject('temporal');
  const connection = await Connection.connect({ address });
  await ensureSearchAttributes(connection, namespace);
  const managerId = `test-api-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const log: string[] = [];
  const logger = createLogger('test', 'debug', { write: (line) => void log.push(line) });
  const fromFile = loadConfig({ path: 'cluster-manager.yaml', env: environmentOf(databases, address) });
  let config: ManagerConfig = {
    ...fromFile,
    id: managerId,
    communication: { ...fromFile.communication, ...options.communication },
  };
  const metrics = createMetrics();
  const stopping = new AbortController();
  const messaging = openMessaging(databases.communication, () => config, {
    serverId: `srv_${managerId}`,
    logger,
    metrics,
  });
  const { clusters, communication, resources } = databases;
  const client = options.client ?? createClusterManagerClient(new Client({ connection, namespace }), managerId);
  const services = { clusters, communication, resources, client, config: () => config, logger, metrics };
  const server = { id: `srv_${managerId}`, startedAt: new Date() };
  const { streamPingMs } = options;
  const applyConfig = () => Promise.resolve([]);
  const deps = openApiDeps({ ...services, ...messaging, applyConfig, server, stopping: stopping.signal, streamPingMs });
  const api = createApi(deps);
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  const tokens = {
    admin: await tokenFor(databases, 'admin'),
    orchestrator: await tokenFor(databases, 'orchestrator'),
    viewer: await tokenFor(databases, 'viewer'),
    enrolment: await tokenFor(databases, 'agent'),
  };
  const call: TestApi['call'] = async (method, path, { token, body, text, headers, signal } = {}) => {
    const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(`${listener.url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
      ...(signal ? { signal } : {}),
    });
    return checked(method, path, response);
  };
  return {
    api,
    deps,
    maintenance: { ...services, ...messaging, serverId: server.id },
    databases,
    url: listener.url,
    tokens,
    log,
    configure: (change) => {
      config = { ...config, ...change };
    },
    call,
    register: async (id, more = {}) => {
      const { body } = await call('POST', '/v1/agents', { token: tokens.enrolment, body: { id, ...more } });
      return (body as { token: string }).token;
    },
    stop: async () => {
      stopping.abort();
      messaging.notifier.close();
      await listener.close(2000);
      await deps.close();
      await messaging.close();
      await connection.close();
      if (!options.databases) await databases.drop();
    },
  };
}

const environmentOf = ({ urls }: TestDatabases, address: string) => ({
  CLUSTERS_DATABASE_URL: urls.clusters,
  COMMUNICATION_DATABASE_URL: urls.communication,
  RESOURCES_DATABASE_URL: urls.resources,
  TEMPORAL_ADDRESS: address,
  TEMPORAL_UI_URL: 'http://127.0.0.1:8233',
});

async function tokenFor({ clusters }: TestDatabases, role: 'admin' | 'orchestrator' | 'viewer' | 'agent') {
  const token = newToken();
  await insertToken(clusters, token, { role, name: `test ${role}` });
  return token;
}

const described: readonly (Endpoint & { readonly pattern: RegExp })[] = Object.values(endpoints).map(
  (endpoint: Endpoint) => ({
    ...endpoint,
    pattern: new RegExp(`^${endpoint.path.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
  }),
);

async function checked(method: string, path: string, response: Response): Promise<Answer> {
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  const body: unknown = type.includes('json') ? JSON.parse(text) : text;
  const answer = { status: response.status, body, headers: response.headers };
  if (response.headers.get('x-content-type-options') !== 'nosniff') throw new Error(`${method} ${path}: no nosniff`);
  const schema = schemaOf(method, path, response.status, type);
  if (schema) refuseOther(`${method} ${path} ${response.status}`, schema, body);
  return answer;
}

function schemaOf(method: string, path: string, status: number, type: string): z.ZodType | undefined {
  if (type.startsWith('application/problem+json')) return problem;
  const pathname = path.split('?')[0] ?? path;
  const endpoint = described.find((one) => one.method === method.toLowerCase() && one.pattern.test(pathname));
  if (!endpoint) throw new Error(`${method} ${path} answered ${status}, but no endpoint describes it`);
  const response = endpoint.responses[status];
  if (!response) throw new Error(`${method} ${path}: ${status} is not described`);
  return response.contentType === undefined ? response.body : undefined;
}

/** @throws when the body does not match the schema or has fields that the schema does not name. */
function refuseOther(what: string, schema: z.ZodType, body: unknown): void {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new Error(`${what} is not as described: ${parsed.error.message}\n${JSON.stringify(body)}`);
  if (JSON.stringify(sorted(parsed.data)) !== JSON.stringify(sorted(body))) {
    throw new Error(`${what} holds more than is described: ${JSON.stringify(body)}`);
  }
}

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
};

export const codeOf = ({ body }: Answer): string => (body as { code: string }).code;

export const operationOf = ({ body }: Answer): OperationView => (body as { operation: OperationView }).operation;
