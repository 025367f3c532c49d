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
  deadLetterAnswer,
  deadLetterReplayedAnswer,
  deadLettersPage,
  formationIntervalAnswer,
  scalingIntervalAnswer,
  type ScalingIntervalAnswer,
  inboxAnswer,
  messageAnswer,
  operationAnswer,
  operationsPage,
  receiptAnswer,
  statusAnswer,
  tokensAnswer,
  topicAnswer,
  topicDeletedAnswer,
  topicsPage,
  type ConfigApplied,
  type StatusView,
  type TopicDeleted,
} from '../contracts/api-answers.js';
import { askApi, type ApiCall } from '../contracts/api-call.js';
import type { ClusterView, DissolveRequest } from '../contracts/clusters.js';
import { ackResults, type AckResults, type DeliveryView } from '../contracts/inbox.js';
import {
  messageResults,
  type DeadLetterView,
  type MessageResult,
  type MessageTrace,
  type NewMessage,
  type ReceiptView,
} from '../contracts/messages.js';
import type { OperationView, ProcessRequest } from '../contracts/operations.js';
import type { Role, TokenView } from '../contracts/tokens.js';
import type { NewTopic, TopicView } from '../contracts/topics.js';
import type { FormationIntervalReport } from '../contracts/workflow-inputs.js';
import { at, type PageQuery } from './calls.js';
import { resourceCalls } from './resource-calls.js';
import { waitForOperation, type WaitOptions } from './wait-for-operation.js';

export interface HttpClientOptions {
  /** `http://127.0.0.1:8420`. */
  readonly url: string;
  readonly token: string;
  /** Ends every call that is under way. */
  readonly signal?: AbortSignal;
}

/** Of each only those that are so; a `cursor` goes with the filter it was given for. */
export interface DeadLetterQuery extends PageQuery {
  readonly state?: string;
  readonly reason?: string;
  readonly recipient?: string;
  readonly clusterId?: string;
}

export type HttpClient = ReturnType<typeof createHttpClient>;

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
    method: 'POST' | 'PUT' | 'DELETE',
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
    /**
     * Sends up to 1,000 messages. What was accepted is durable and routed; the same `id` again is the same message.
     * @returns the outcome of each, in the order given. @throws ManagerError `mailbox_full` when that refused all of them.
     */
    sendMessages: async (messages: readonly NewMessage[]): Promise<readonly MessageResult[]> =>
      (await send(messageResults, 'POST', '/v1/messages', { body: { messages } })).results,
    /** The way of a message, hop by hop. */
    message: async (id: string): Promise<MessageTrace> => (await get(messageAnswer, at('messages', id))).message,
    receipt: async (id: string): Promise<ReceiptView> => (await get(receiptAnswer, at('receipts', id))).receipt,
    /** Leases an agent's mail, with an admin's token or the agent's own: whoever else reads that inbox waits for the lease's end. */
    readInbox: async (
      agentId: string,
      { max, waitSeconds = 0 }: { readonly max?: number; readonly waitSeconds?: number } = {},
    ): Promise<readonly DeliveryView[]> => {
      const timeoutMs = (waitSeconds + 15) * 1000;
      const path = at('agents', agentId, 'inbox');
      const query = { max, waitSeconds };
      return (await askApi(url, inboxAnswer, { ...common, method: 'GET', path, query, timeoutMs })).deliveries;
    },
    /** @throws ManagerError `forbidden` unless the token is the recipient's own. */
    ackDeliveries: async (
      acks: readonly { readonly id: string; readonly leaseToken: string }[],
    ): Promise<AckResults['results']> =>
      (await send(ackResults, 'POST', '/v1/deliveries/ack', { body: { acks } })).results,
    topics: (query: PageQuery = {}) => get(topicsPage, '/v1/topics', { ...query }),
    topic: async (name: string): Promise<TopicView> => (await get(topicAnswer, at('topics', name))).topic,
    /** The same topic again changes nothing. @throws ManagerError `state_conflict` when there is another of that name. */
    createTopic: async (body: NewTopic): Promise<TopicView> =>
      (await send(topicAnswer, 'POST', '/v1/topics', { body })).topic,
    /** `drain`: what is on its way arrives first; `force`: it becomes dead letters. */
    deleteTopic: (name: string, mode: 'drain' | 'force' = 'drain'): Promise<TopicDeleted> =>
      send(topicDeletedAnswer, 'DELETE', at('topics', name), { query: { mode } }),
    /** Newest first. */
    deadLetters: (query: DeadLetterQuery = {}) => get(deadLettersPage, '/v1/dead-letters', { ...query }),
    /** @returns with `matched`, how many got it. @throws ManagerError `state_conflict` when there is still nobody to take it. */
    replayDeadLetter: (id: string): Promise<{ readonly deadLetter: DeadLetterView; readonly matched: number }> =>
      send(deadLetterReplayedAnswer, 'POST', at('dead-letters', id, 'replay')),
    discardDeadLetter: async (id: string): Promise<DeadLetterView> =>
      (await send(deadLetterAnswer, 'POST', at('dead-letters', id, 'discard'))).deadLetter,
    ...resourceCalls({ get, send }),
    runScalingInterval: (body: { readonly dryRun: boolean }): Promise<ScalingIntervalAnswer> =>
      send(scalingIntervalAnswer, 'POST', '/v1/intervals/scaling', { body, timeoutMs: 60_000 }),
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
