import { v7 as uuidv7 } from 'uuid';
import type { AgentView } from '../contracts/agents.js';
import {
  agentAnswer,
  agentsPage,
  anyAnswer,
  clusterAnswer,
  clustersPage,
  configAppliedAnswer,
  createdTokenAnswer,
  formationIntervalAnswer,
  operationAnswer,
  operationsPage,
  statusAnswer,
  tokensAnswer,
  type ConfigApplied,
  type StatusView,
} from '../contracts/api-answers.js';
import { askApi, type ApiCall } from '../contracts/api-call.js';
import type { ClusterView, DissolveRequest } from '../contracts/clusters.js';
import type { OperationView, ProcessRequest } from '../contracts/operations.js';
import type { Role, TokenView } from '../contracts/tokens.js';
import type { FormationIntervalReport } from '../contracts/workflow-inputs.js';
import { waitForOperation, type WaitOptions } from './wait-for-operation.js';

export interface HttpClientOptions {
  /** `http://127.0.0.1:8420`. */
  readonly url: string;
  readonly token: string;
  /** Ends every call that is under way. */
  readonly signal?: AbortSignal;
}

export interface PageQuery {
  /** The `nextCursor` of the page before. */
  readonly cursor?: string;
  /** 1 to 200, default 50. */
  readonly limit?: number;
}

export type HttpClient = ReturnType<typeof createHttpClient>;

const at = (collection: string, id: string, verb = ''): string =>
  `/v1/${collection}/${encodeURIComponent(id)}${verb && `/${verb}`}`;

/**
 * The HTTP API with types: what the command line and programs without a Temporal client hold. Every function throws
 * ManagerError with the API's code; `service_unavailable` when nothing answers.
 * @example
 * const manager = createHttpClient({ url: 'http://127.0.0.1:8420', token });
 * const accepted = await manager.request({ type: 'FORMATION', name: 'translators', requiredCapabilities: ['translate'] });
 * const { state, result } = await manager.waitForOperation(accepted.id);
 */
export function createHttpClient({ url, token, signal }: HttpClientOptions) {
  const common = { token, ...(signal ? { signal } : {}) };
  const get = <Shape extends Parameters<typeof askApi>[1]>(shape: Shape, path: string, query: ApiCall['query'] = {}) =>
    askApi(url, shape, { ...common, method: 'GET', path, query });
  const send = <Shape extends Parameters<typeof askApi>[1]>(
    shape: Shape,
    method: 'POST' | 'DELETE',
    path: string,
    rest: Partial<ApiCall> = {},
  ) => askApi(url, shape, { ...common, method, path, ...rest });
  const operation = async (id: string): Promise<OperationView> =>
    (await get(operationAnswer, at('operations', id))).operation;

  return {
    url,
    status: (): Promise<StatusView> => get(statusAnswer, '/v1/status'),
    agents: (query: PageQuery & { readonly capability?: string; readonly state?: string } = {}) =>
      get(agentsPage, '/v1/agents', { ...query }),
    agent: async (id: string): Promise<AgentView> => (await get(agentAnswer, at('agents', id))).agent,
    /** The agent takes no new clusters from now on. */
    drainAgent: async (id: string): Promise<AgentView> =>
      (await send(agentAnswer, 'POST', at('agents', id, 'drain'))).agent,
    /** The agent leaves and its tokens end. */
    removeAgent: async (id: string): Promise<void> => void (await send(anyAnswer, 'DELETE', at('agents', id))),
    /**
     * The seed's `process_request`. Safe to send again with the same `idempotencyKey`: it gives the same operation.
     * @param options.waitSeconds 0 to 60: how long the answer may wait for the operation's end.
     */
    request: async (
      body: ProcessRequest,
      { idempotencyKey = uuidv7(), waitSeconds = 0 }: { idempotencyKey?: string; waitSeconds?: number } = {},
    ): Promise<OperationView> => {
      const headers = { 'idempotency-key': idempotencyKey };
      const wait = waitSeconds > 0 ? { query: { wait: waitSeconds }, timeoutMs: (waitSeconds + 15) * 1000 } : {};
      return (await send(operationAnswer, 'POST', '/v1/requests', { body, headers, ...wait })).operation;
    },
    operations: (query: PageQuery & { readonly state?: string; readonly clusterId?: string } = {}) =>
      get(operationsPage, '/v1/operations', { ...query }),
    operation,
    /**
     * Asks until the operation has ended, however it ended: look at its `state`.
     * @throws ManagerError `deadline_exceeded` when it has not ended by then; the operation goes on all the same.
     */
    waitForOperation: (id: string, options: WaitOptions = {}): Promise<OperationView> =>
      waitForOperation(operation, id, { ...options, ...(signal ? { signal } : {}) }),
    cancelOperation: async (id: string): Promise<OperationView> =>
      (await send(operationAnswer, 'POST', at('operations', id, 'cancel'))).operation,
    clusters: (query: PageQuery & { readonly state?: string } = {}) => get(clustersPage, '/v1/clusters', { ...query }),
    cluster: async (id: string): Promise<ClusterView> => (await get(clusterAnswer, at('clusters', id))).cluster,
    dissolveCluster: async (id: string, body: DissolveRequest = {}): Promise<OperationView> =>
      (await send(operationAnswer, 'DELETE', at('clusters', id), { body })).operation,
    runFormationInterval: (body: { readonly dryRun: boolean }): Promise<FormationIntervalReport> =>
      send(formationIntervalAnswer, 'POST', '/v1/intervals/formation', { body, timeoutMs: 60_000 }),
    applyConfig: (): Promise<ConfigApplied> => send(configAppliedAnswer, 'POST', '/v1/config/apply', {}),
    tokens: async (): Promise<readonly TokenView[]> => (await get(tokensAnswer, '/v1/tokens')).tokens,
    /** @returns with `secret`, the token itself, which is shown this once and stored nowhere. */
    createToken: (body: { readonly role: Role; readonly name: string; readonly expiresInSeconds?: number }) =>
      send(createdTokenAnswer, 'POST', '/v1/tokens', { body }),
    revokeToken: async (id: string): Promise<void> => void (await send(anyAnswer, 'DELETE', at('tokens', id))),
  };
}
