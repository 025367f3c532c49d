import { v7 as uuidv7 } from 'uuid';
import { callEndpoint, sendToEndpoint, type CallOptions, type EndpointInput } from '../contracts/call-endpoint.js';
import type { DissolveRequest } from '../contracts/clusters.js';
import type { ScaleCluster } from '../contracts/decisions.js';
import type { PageQuery } from '../contracts/endpoint.js';
import type { EndpointName } from '../contracts/endpoints.js';
import type { NewMessage } from '../contracts/messages.js';
import type { OperationView, ProcessRequest } from '../contracts/operations.js';
import type { PutBudget, PutPool, PutQuotas, UsageReport } from '../contracts/resources.js';
import type { NewTopic } from '../contracts/topics.js';
import type { CreateToken } from '../contracts/tokens.js';
import { waitForOperation, type WaitOptions } from './wait-for-operation.js';

export interface HttpClientOptions {
  /** `http://127.0.0.1:8420`. */
  readonly url: string;
  readonly token: string;
  /** Aborts every call in progress. */
  readonly signal?: AbortSignal;
}

type QueryOf<Name extends EndpointName> = NonNullable<EndpointInput<Name>['query']>;

/** Filters of a list of dead letters; a `cursor` belongs to the filter that it was returned for. */
export type DeadLetterQuery = QueryOf<'listDeadLetters'>;

export type HttpClient = ReturnType<typeof createHttpClient>;

const intervalTimeoutMs = 60_000;
/** Added to the time that the server may wait before it answers. */
const answerTimeoutMs = 15_000;

/**
 * A typed client of the HTTP API, as the command line and programs without a Temporal client use it. Every function
 * throws ManagerError with the API's code; `service_unavailable` when nothing answers.
 * @example
 * const manager = createHttpClient({ url: 'http://127.0.0.1:8420', token });
 * const accepted = await manager.request({ type: 'FORMATION', name: 'translators', requiredCapabilities: ['translate'] });
 * const { state, result } = await manager.waitForOperation(accepted.id);
 */
export function createHttpClient({ url, token, signal }: HttpClientOptions) {
  /** Calls any endpoint by its name in the API reference. */
  const call = <Name extends EndpointName>(name: Name, input: EndpointInput<Name>, options: CallOptions = {}) =>
    callEndpoint(url, name, input, { token, ...(signal ? { signal } : {}), ...options });
  const send: Send = (name, input) => sendToEndpoint(url, name, input, { token, ...(signal ? { signal } : {}) });
  return {
    url,
    call,
    ...agentCalls(call, send),
    ...operationCalls(call, signal),
    ...messageCalls(call),
    ...scalingCalls(call),
    ...resourceCalls(call, send),
    ...managerCalls(call),
  };
}

type Call = <Name extends EndpointName>(
  name: Name,
  input: EndpointInput<Name>,
  options?: CallOptions,
) => ReturnType<typeof callEndpoint<Name>>;

type Send = <Name extends EndpointName>(name: Name, input: EndpointInput<Name>) => Promise<void>;

const agentCalls = (call: Call, send: Send) => ({
  agents: (query: QueryOf<'listAgents'> = {}) => call('listAgents', { query }),
  agent: async (id: string) => (await call('getAgent', { params: { id } })).agent,
  /** The agent joins no more clusters and keeps its current memberships. */
  drainAgent: async (id: string) => (await call('drainAgent', { params: { id } })).agent,
  /** The agent leaves and its tokens are revoked. */
  removeAgent: (id: string): Promise<void> => send('removeAgent', { params: { id } }),
  /**
   * Leases deliveries of an agent's inbox, with an admin's token or the agent's own; other readers of the inbox get
   * them only after the leases end.
   */
  readInbox: async (id: string, query: { readonly max?: number; readonly waitSeconds?: number } = {}) => {
    const timeoutMs = (query.waitSeconds ?? 0) * 1000 + answerTimeoutMs;
    return (await call('readInbox', { params: { id }, query }, { timeoutMs })).deliveries;
  },
  /** @throws ManagerError `forbidden` unless the token is the recipient's own. */
  ackDeliveries: async (acks: readonly { readonly id: string; readonly leaseToken: string }[]) =>
    (await call('ackDeliveries', { body: { acks } })).results,
});

function operationCalls(call: Call, signal: AbortSignal | undefined) {
  const operation = async (id: string): Promise<OperationView> =>
    (await call('getOperation', { params: { id } })).operation;
  return {
    /**
     * The specification's `process_request`. Safe to repeat with the same `idempotencyKey`: it returns the same operation.
     * @param options.waitSeconds 0 to 60: how long the server may wait for the operation's end before it answers.
     */
    request: async (
      body: ProcessRequest,
      { idempotencyKey = uuidv7(), waitSeconds = 0 }: { idempotencyKey?: string; waitSeconds?: number } = {},
    ): Promise<OperationView> => {
      const input = { body, headers: { 'idempotency-key': idempotencyKey } };
      const accepted =
        waitSeconds > 0
          ? call(
              'processRequest',
              { ...input, query: { wait: waitSeconds } },
              { timeoutMs: waitSeconds * 1000 + answerTimeoutMs },
            )
          : call('processRequest', input);
      return (await accepted).operation;
    },
    operations: (query: QueryOf<'listOperations'> = {}) => call('listOperations', { query }),
    operation,
    /**
     * Polls until the operation has ended in any state; see its `state`.
     * @throws ManagerError `deadline_exceeded` on a timeout; the operation continues.
     */
    waitForOperation: (id: string, options: WaitOptions = {}): Promise<OperationView> =>
      waitForOperation(operation, id, { ...options, ...(signal ? { signal } : {}) }),
    cancelOperation: async (id: string) => (await call('cancelOperation', { params: { id } })).operation,
    clusters: (query: QueryOf<'listClusters'> = {}) => call('listClusters', { query }),
    cluster: async (id: string) => (await call('getCluster', { params: { id } })).cluster,
    dissolveCluster: async (id: string, body: DissolveRequest = {}) =>
      (await call('dissolveCluster', { params: { id }, body })).operation,
  };
}

const messageCalls = (call: Call) => ({
  /**
   * Sends up to 1,000 messages. Accepted messages are durable and routed; the same `id` again is the same message.
   * @returns one result for each, in the order given.
   * @throws ManagerError `mailbox_full` when every message was refused for it.
   */
  sendMessages: async (messages: readonly NewMessage[]) => (await call('sendMessages', { body: { messages } })).results,
  /** The trace of a message, hop by hop. */
  message: async (id: string) => (await call('getMessage', { params: { id } })).message,
  receipt: async (id: string) => (await call('getReceipt', { params: { id } })).receipt,
  topics: (query: PageQuery = {}) => call('listTopics', { query }),
  topic: async (name: string) => (await call('getTopic', { params: { name } })).topic,
  /** Creating the same topic again changes nothing. @throws ManagerError `state_conflict` for another topic of that name. */
  createTopic: async (body: NewTopic) => (await call('createTopic', { body })).topic,
  /** `drain` lets pending deliveries finish first; `force` dead-letters them. */
  deleteTopic: (name: string, mode: 'drain' | 'force' = 'drain') =>
    call('deleteTopic', { params: { name }, query: { mode } }),
  /** Newest first. */
  deadLetters: (query: DeadLetterQuery = {}) => call('listDeadLetters', { query }),
  /** @returns with `matched`, the number of recipients. @throws ManagerError `state_conflict` when there still is none. */
  replayDeadLetter: (id: string) => call('replayDeadLetter', { params: { id } }),
  discardDeadLetter: async (id: string) => (await call('discardDeadLetter', { params: { id } })).deadLetter,
});

function scalingCalls(call: Call) {
  const answer = async (name: 'grantResources' | 'denyResources', id: string, reason?: string) =>
    (await call(name, { params: { id }, body: reason === undefined ? {} : { reason } })).resourceRequest;
  return {
    /** Safe to repeat with the same `idempotencyKey`: it returns the same operation. */
    scaleCluster: async (
      id: string,
      body: ScaleCluster = {},
      { idempotencyKey = uuidv7() }: { idempotencyKey?: string } = {},
    ) =>
      (await call('scaleCluster', { params: { id }, body, headers: { 'idempotency-key': idempotencyKey } })).operation,
    /** Newest first. */
    decisions: (id: string, query: PageQuery = {}) => call('listDecisions', { params: { id }, query }),
    decision: async (id: string) => (await call('getDecision', { params: { id } })).decision,
    /** The latest scores, oldest first. */
    scores: (id: string, count: number) => call('getScore', { params: { id }, query: { count } }),
    resourceRequests: (query: QueryOf<'listResourceRequests'> = {}) => call('listResourceRequests', { query }),
    /** @throws ManagerError `state_conflict` when it has another answer already or its deadline has passed. */
    grantRequest: (id: string, reason?: string) => answer('grantResources', id, reason),
    /** @throws ManagerError `state_conflict` when it has another answer already or its deadline has passed. */
    denyRequest: (id: string, reason?: string) => answer('denyResources', id, reason),
  };
}

const resourceCalls = (call: Call, send: Send) => ({
  /** @param samples at most 1,000, of any agents, or of the token's own agent only. */
  reportUsage: async (samples: UsageReport['samples']) => (await call('reportUsage', { body: { samples } })).samples,
  resources: () => call('getResources', {}),
  pools: (query: PageQuery = {}) => call('listPools', { query }),
  pool: async (name: string) => (await call('getPool', { params: { name } })).pool,
  /** @throws ManagerError `state_conflict` below what is allocated. */
  putPool: async (name: string, body: PutPool) => (await call('putPool', { params: { name }, body })).pool,
  removePool: (name: string): Promise<void> => send('deletePool', { params: { name } }),
  quotas: async (clusterId: string) => (await call('getQuotas', { params: { clusterId } })).quotas,
  putQuotas: async (clusterId: string, body: PutQuotas) =>
    (await call('putQuotas', { params: { clusterId }, body })).quotas,
  budgets: (query: QueryOf<'listBudgets'>) => call('listBudgets', { query }),
  putBudget: async (id: string, body: PutBudget) => (await call('putBudget', { params: { id }, body })).budget,
});

const managerCalls = (call: Call) => ({
  status: () => call('getStatus', {}),
  runScalingInterval: (body: { readonly dryRun: boolean }) =>
    call('runScalingInterval', { body }, { timeoutMs: intervalTimeoutMs }),
  runFormationInterval: (body: { readonly dryRun: boolean }) =>
    call('runFormationInterval', { body }, { timeoutMs: intervalTimeoutMs }),
  applyConfig: () => call('applyConfig', {}),
  tokens: async () => (await call('listTokens', {})).tokens,
  /** @returns with `secret`, the token itself, which is shown only here. */
  createToken: (body: CreateToken) => call('createToken', { body }),
  revokeToken: (id: string): Promise<void> => call('revokeToken', { params: { id } }),
});
