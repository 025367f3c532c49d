import { ManagerError } from '../../contracts/errors.js';
import { parseFormationRequest } from '../../contracts/formation.js';
import { clusterIdOf, type ClusterId, type OperationId } from '../../contracts/ids.js';
import { requestHash } from '../../contracts/request-hash.js';
import {
  findCandidates,
  findCluster,
  findOperation,
  membershipsOf,
  saveStep,
  unfinished,
  type Candidates,
  type ClustersDb,
  type OperationRow,
  type NewOperation,
} from '../../stores/clusters/index.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { requireCapability, requireOperationId } from '../shared/preconditions.js';
import { candidateQueryOf, matchRequestOf, type FormationPlan } from './plan.js';
import { Contended, reserveAgents, type ReservationOrder } from './reserve-agents.js';

export interface IdentifyAgentsInput {
  readonly operationId: OperationId;
  readonly workflowId: string;
  readonly round: number;
  /** The request as the caller wrote it, unread; or the cluster to repair. */
  readonly for: { readonly request: unknown } | { readonly repair: ClusterId };
}

/** What the workflow needs to know of the plan; the rest stays in the database. */
export interface IdentifiedAgents {
  readonly reserved: number;
  readonly alternates: number;
  readonly rejected: Readonly<Record<string, number>>;
}

/**
 * Step 1 of form_cluster: finds who may be a member and says why others may not, chooses, and reserves the chosen in
 * the same transaction.
 * @throws `InvalidRequest`, `CapabilityDisabled`, `IdempotencyConflict`, or how the operation ended before.
 */
export const identifyAgents = (deps: ActivityDeps) =>
  asActivity(async (input: IdentifyAgentsInput): Promise<IdentifiedAgents> => {
    const operation =
      'request' in input.for
        ? readRequest(deps, input, input.for.request)
        : await readRepair(deps, input, input.for.repair);
    const key = { operationId: input.operationId, step: 'identifyAgents', round: input.round };
    const survey = await surveyFleet(deps, operation);
    const plan = await inTurn((turn) =>
      saveStep(deps.clusters, key, thisAttempt(), (tx) => reserveFor(tx, survey, turn), { accept: operation }),
    );
    return { reserved: plan.joining.length, alternates: plan.alternates.length, rejected: plan.rejected };
  });

/**
 * Reserves agents for a queued operation, if they are there now. A plan that cannot be carried out is not saved, so
 * the round stays open.
 * @returns whether the operation can go on.
 */
export const reserveForQueuedOperation = (
  deps: ActivityDeps,
  operation: OperationRow,
  round: number,
): Promise<boolean> =>
  inTurn(async (turn) => {
    const survey = await surveyFleet(deps, operation);
    const plan = await saveStep<FormationPlan | null>(
      deps.clusters,
      { operationId: operation.id, step: 'identifyAgents', round },
      thisAttempt(),
      async (tx, { operation: locked }) => {
        // Served by another run since the queue was read: reserving again would take agents twice.
        if (locked.state !== 'queued') return [unfinished, null];
        const found = await reserveFor(tx, survey, turn);
        return found.shortfall.length > 0 ? [unfinished, null] : found;
      },
    );
    return plan !== null && plan.shortfall.length === 0;
  });

/** First without waiting for anybody; where that met other formations at work, once more in turn. */
async function inTurn<Result>(attempt: (turn: boolean) => Promise<Result>): Promise<Result> {
  try {
    return await attempt(false);
  } catch (error) {
    if (!(error instanceof Contended)) throw error;
    return attempt(true);
  }
}

interface Survey {
  readonly order: ReservationOrder;
  readonly seen: Candidates;
  readonly epoch: number;
  readonly staying: readonly string[];
  readonly leaving: readonly string[];
}

type Planned = Pick<NewOperation, 'id' | 'kind' | 'clusterId' | 'request'>;

/** Reads what the plan depends on. Before the step's transaction, so that nothing is locked meanwhile. */
async function surveyFleet({ clusters, settings }: ActivityDeps, operation: Planned): Promise<Survey> {
  const { id: operationId, clusterId } = operation;
  const cluster = operation.kind === 'REPAIR' ? await findCluster(clusters, clusterId) : undefined;
  const members = cluster ? await membershipsOf(clusters, clusterId) : [];
  const active = members.filter((member) => member.state === 'active');
  const staying = active.filter((member) => member.alive);
  const spec = cluster?.spec ?? parseFormationRequest(operation.request, settings.clusterSize);
  const query = candidateQueryOf(spec, operationId, cluster ? clusterId : null);
  return {
    order: { operationId, clusterId, spec, query, request: matchRequestOf(spec, staying, operationId) },
    seen: await findCandidates(clusters, query),
    epoch: cluster?.epoch ?? 0,
    staying: staying.map((member) => member.agentId),
    leaving: active.filter((member) => !member.alive).map((member) => member.agentId),
  };
}

async function reserveFor(tx: ClustersDb, survey: Survey, turn: boolean): Promise<FormationPlan> {
  const { order, epoch, staying, leaving } = survey;
  const found = await reserveAgents(tx, order, survey.seen, turn);
  return {
    clusterId: order.clusterId,
    epoch,
    spec: order.spec,
    joining: found.shortfall.length === 0 ? found.members : [],
    staying,
    leaving,
    alternates: found.alternates,
    rejected: found.rejected,
    shortfall: found.shortfall,
  };
}

function readRequest(
  deps: ActivityDeps,
  { operationId, workflowId }: IdentifyAgentsInput,
  request: unknown,
): NewOperation {
  requireCapability(deps, 'cluster_management', 'form clusters');
  requireOperationId(operationId);
  parseFormationRequest(request, deps.settings.clusterSize);
  return {
    id: operationId,
    kind: 'FORMATION',
    clusterId: clusterIdOf(operationId),
    workflowId,
    request,
    requestHash: requestHash('FORMATION', request),
    requestedBy: 'temporal',
  };
}

async function readRepair(
  { clusters }: ActivityDeps,
  { operationId, workflowId }: IdentifyAgentsInput,
  clusterId: ClusterId,
): Promise<NewOperation> {
  // Accepted before: whatever became of the cluster since, this operation is to be carried out or undone.
  const known = await findOperation(clusters, operationId);
  if (known?.kind === 'REPAIR' && known.clusterId === clusterId) return known;
  const cluster = await findCluster(clusters, clusterId);
  if (cluster?.state !== 'active') {
    throw new ManagerError(
      'invalid_request',
      `Cluster "${clusterId}" is ${cluster?.state ?? 'unknown'}; only an active cluster can be repaired`,
    );
  }
  const request = { clusterId, deadlineSeconds: cluster.spec.deadlineSeconds };
  return {
    id: operationId,
    kind: 'REPAIR',
    clusterId,
    workflowId,
    request,
    requestHash: requestHash('REPAIR', request),
    requestedBy: 'formation-interval',
  };
}
