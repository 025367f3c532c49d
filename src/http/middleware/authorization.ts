import { ManagerError } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';

/** Who asks: the token's role, with an agent told apart from an enrolment token, which belongs to no agent yet. */
export type Party = 'admin' | 'orchestrator' | 'viewer' | 'agent' | 'enrolment';

const readers = ['admin', 'orchestrator', 'viewer'] as const;
const operators = ['admin', 'orchestrator'] as const;

/**
 * Every operation of the API and who may call it: the one table. What is not listed is refused. An agent reaches only
 * what is its own: its path is checked by `authorise`, what hangs on data (its clusters, its operations) by the handler.
 */
export const access = {
  registerAgent: [...operators, 'enrolment', 'agent'],
  listAgents: readers,
  getAgent: [...readers, 'agent'],
  removeAgent: ['admin', 'agent'],
  heartbeat: ['admin', 'agent'],
  drainAgent: [...operators, 'agent'],
  readInbox: ['admin', 'agent'],
  answerInvitation: ['admin', 'agent'],
  ackDelivery: ['agent'],
  ackDeliveries: ['agent'],
  nackDelivery: ['agent'],
  extendDelivery: ['agent'],
  sendMessages: [...operators, 'agent'],
  storeBatch: [...operators, 'agent'],
  getMessage: [...readers, 'agent'],
  getReceipt: [...readers, 'agent'],
  listDeadLetters: readers,
  replayDeadLetter: operators,
  discardDeadLetter: operators,
  listTopics: [...readers, 'agent'],
  getTopic: [...readers, 'agent'],
  createTopic: [...operators, 'agent'],
  deleteTopic: [...operators, 'agent'],
  listSubscriptions: [...readers, 'agent'],
  subscribe: [...operators, 'agent'],
  unsubscribe: [...operators, 'agent'],
  processRequest: [...operators, 'agent'],
  listOperations: readers,
  getOperation: [...readers, 'agent'],
  cancelOperation: [...operators, 'agent'],
  listClusters: [...readers, 'agent'],
  getCluster: [...readers, 'agent'],
  dissolveCluster: operators,
  scaleCluster: operators,
  listDecisions: [...readers, 'agent'],
  getDecision: [...readers, 'agent'],
  getScore: [...readers, 'agent'],
  listResourceRequests: readers,
  getResourceRequest: readers,
  grantResources: operators,
  denyResources: operators,
  listPools: readers,
  getPool: readers,
  putPool: operators,
  deletePool: operators,
  getQuotas: [...readers, 'agent'],
  putQuotas: operators,
  takeGrants: [...operators, 'agent'],
  listGrants: [...readers, 'agent'],
  extendGrant: [...operators, 'agent'],
  releaseGrant: [...operators, 'agent'],
  listBudgets: [...readers, 'agent'],
  putBudget: operators,
  reserveBudget: [...operators, 'agent'],
  commitReservation: [...operators, 'agent'],
  releaseReservation: [...operators, 'agent'],
  reportUsage: [...operators, 'agent'],
  getResources: readers,
  listLedger: ['admin', 'viewer'],
  runFormationInterval: operators,
  runScalingInterval: operators,
  applyConfig: ['admin'],
  getStatus: readers,
  listEvents: readers,
  listTokens: ['admin'],
  createToken: ['admin'],
  revokeToken: ['admin'],
  getMetrics: ['admin', 'viewer'],
  livez: 'public',
  readyz: 'public',
  getOpenApi: 'public',
} as const satisfies Record<string, readonly Party[] | 'public'>;

export type OperationName = keyof typeof access;

export const partyOf = ({ role, agentId }: Principal): Party =>
  role !== 'agent' ? role : agentId === null ? 'enrolment' : 'agent';

/**
 * Whether a principal may call an operation: the one place that decides.
 * @param target.agentId the agent named by the path. Another agent's things are not there for an agent: 404, so that
 * ids cannot be probed.
 * @throws ManagerError `forbidden` or `not_found`.
 */
export function authorize(
  principal: Principal,
  operation: OperationName,
  target: { readonly agentId?: string | undefined } = {},
): void {
  const party = partyOf(principal);
  if (party === 'agent' && target.agentId !== undefined && target.agentId !== principal.agentId) {
    throw new ManagerError('not_found', `There is no agent "${target.agentId}"`);
  }
  const allowed: readonly Party[] | 'public' = access[operation];
  if (allowed === 'public' || allowed.includes(party)) return;
  throw new ManagerError(
    'forbidden',
    `${operation} is for ${allowed.join(', ')}; this token's role is ${party}. Use a token of one of these roles`,
  );
}
