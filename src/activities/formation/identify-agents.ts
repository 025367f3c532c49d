import { ManagerError } from '../../contracts/errors.js';
import { parseFormationRequest } from '../../contracts/formation.js';
import { clusterIdOf, type ClusterId, type OperationId } from '../../contracts/ids.js';
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
import type { FormationDeps } from '../deps.js';
import { thisAttempt } from '../shared/as-activity.js';
import { newOperation } from '../shared/preconditions.js';
import { candidateQueryOf, matchRequestOf, type FormationPlan } from './plan.js';
import { reserveAgents, withRetryInTurn, type ReservationOrder } from './reserve-agents.js';

export interface IdentifyAgentsInput {
  readonly operationId: OperationId;
  readonly workflowId: string;
  readonly round: number;
  /** The request as the caller wrote it, not yet validated; or the cluster to repair. */
  readonly for: { readonly request: unknown } | { readonly repair: ClusterId };
}

/** The part of the plan that the workflow needs; the rest stays in the database. */
export interface IdentifiedAgents {
  readonly reserved: number;
  readonly alternates: number;
  readonly rejected: Readonly<Record<string, number>>;
}

/**
 * Step 1 of form_cluster: finds eligible agents and counts why others are not, chooses members, and reserves them in the
 * same transaction.
 * @throws `InvalidRequest`, `CapabilityDisabled`, `IdempotencyConflict`, or the error with which the operation ended.
 */
export async function identifyAgents(deps: FormationDeps, input: IdentifyAgentsInput): Promise<IdentifiedAgents> {
  const operation =
    'request' in input.for
      ? formationOperation(deps, input, input.for.request)
      : await repairOperation(deps, input, input.for.repair);
  const key = { operationId: input.operationId, step: 'identifyAgents', round: input.round };
  const survey = await findFormationCandidates(deps, operation);
  const plan = await withRetryInTurn((turn) =>
    saveStep(deps.clusters, key, thisAttempt(), (tx) => reserveFor(tx, survey, turn), { accept: operation }),
  );
  return { reserved: plan.joining.length, alternates: plan.alternates.length, rejected: plan.rejected };
}

/**
 * Reserves agents for a queued operation if enough are free now. A plan that is not feasible is not saved, so that the round
 * stays open.
 * @returns whether agents were reserved.
 */
export const reserveForQueuedOperation = (
  deps: FormationDeps,
  operation: OperationRow,
  round: number,
): Promise<boolean> =>
  withRetryInTurn(async (turn) => {
    const survey = await findFormationCandidates(deps, operation);
    const plan = await saveStep<FormationPlan | null>(
      deps.clusters,
      { operationId: operation.id, step: 'identifyAgents', round },
      thisAttempt(),
      async (tx, { operation: locked }) => {
        // Served by another run since the queue was read: a second reservation would take agents twice.
        if (locked.state !== 'queued') return [unfinished, null];
        const found = await reserveFor(tx, survey, turn);
        return found.shortfall.length > 0 ? [unfinished, null] : found;
      },
    );
    return plan !== null && plan.shortfall.length === 0;
  });

interface Survey {
  readonly order: ReservationOrder;
  readonly seen: Candidates;
  readonly epoch: number;
  readonly staying: readonly string[];
  readonly leaving: readonly string[];
}

type Planned = Pick<NewOperation, 'id' | 'kind' | 'clusterId' | 'request'>;

/** Reads what the plan depends on, before the step's transaction, so that nothing is locked meanwhile. */
async function findFormationCandidates({ clusters, settings }: FormationDeps, operation: Planned): Promise<Survey> {
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

const formationOperation = (
  { settings }: FormationDeps,
  { operationId, workflowId }: IdentifyAgentsInput,
  request: unknown,
): NewOperation =>
  newOperation('FORMATION', settings, { operationId, workflowId, request }, () => {
    parseFormationRequest(request, settings.clusterSize);
    return clusterIdOf(operationId);
  });

async function repairOperation(
  { clusters }: FormationDeps,
  { operationId, workflowId }: IdentifyAgentsInput,
  clusterId: ClusterId,
): Promise<NewOperation> {
  // An operation that was accepted before is carried out or compensated, whatever became of its cluster.
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
  return { id: operationId, kind: 'REPAIR', clusterId, workflowId, request, requestedBy: 'formation-interval' };
}
