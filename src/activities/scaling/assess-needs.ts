import { ManagerError } from '../../contracts/errors.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import { assess } from '../../domain/scaling/assess.js';
import { explainDecision } from '../../domain/scaling/explain.js';
import { soakSeconds } from '../../domain/scaling/soak.js';
import type { Decision } from '../../domain/scaling/types.js';
import { stabilityScore } from '../../domain/stability/score.js';
import {
  findCluster,
  lockForScaling,
  requireScalable,
  saveStep,
  stepResult,
  type ClustersDb,
} from '../../stores/clusters/index.js';
import { recordFailure, recordRecommendations, saveDecision, saveScores } from '../../stores/resources/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { thisAttempt } from '../shared/as-activity.js';
import { newOperation, type RequestInput } from '../shared/preconditions.js';
import type { ScalingDeps } from '../deps.js';
import { readClusterSnapshots, rulesOf } from './read-facts.js';

/** The decision that the later steps carry out. */
export interface AssessedNeeds extends Pick<
  Decision,
  'direction' | 'from' | 'desired' | 'victims' | 'charged' | 'because'
> {
  readonly decisionId: string;
  readonly clusterId: string;
  /** The cluster's epoch when it was assessed. */
  readonly epoch: number;
  readonly scoreBefore: number | null;
  /** How long a change is observed, and how many scores are taken; 0 seconds for no soak. */
  readonly soak: { readonly seconds: number; readonly samples: number };
  readonly explanation: string;
}

/**
 * Step 1 of scale_cluster: assesses the size a cluster needs from usage, work and bounds, and stores the decision with
 * everything it follows from.
 * @throws `InvalidRequest`, `CapabilityDisabled`, `IdempotencyConflict`, `NotFound`, `StateConflict` when the cluster is
 * not active or is being scaled already.
 */
export async function assessNeeds(deps: ScalingDeps, input: RequestInput): Promise<AssessedNeeds> {
  const { clusters } = deps;
  const { operationId } = input;
  const accept = newOperation('SCALING', deps.settings, input, () => parseScalingRequest(input.request).clusterId);
  // Admission has a step of its own: the cluster's lock must not be held while resources_db is called.
  await saveStep(
    clusters,
    { operationId, step: 'assessNeeds:admitted', round: 0 },
    thisAttempt(),
    (tx) => admit(tx, accept.clusterId, operationId),
    { accept },
  );
  const key = { operationId, step: 'assessNeeds', round: 0 };
  const saved = await stepResult<AssessedNeeds>(clusters, key);
  if (saved) return saved;
  const needs = await decide(deps, operationId, input.request);
  try {
    return await saveStep<AssessedNeeds>(clusters, key, thisAttempt(), async () => needs);
  } catch (error) {
    // A late attempt: the compensation bars this step before it closes the decision, so one of the two closes it.
    const undo = await stepResult(clusters, { operationId, step: 'undo:assessNeeds', round: 0 });
    if (undo !== undefined) await recordFailure(deps.resources, needs.decisionId, { operationId });
    throw error;
  }
}

async function decide(deps: ScalingDeps, operationId: string, request: unknown): Promise<AssessedNeeds> {
  const { clusterId, desired, release, soakSeconds: requestedSoak } = parseScalingRequest(request);
  const cluster = await findCluster(deps.clusters, clusterId);
  if (!cluster) throw new ManagerError('not_found', `Cluster "${clusterId}" does not exist`);
  const rules = rulesOf(deps.settings);
  const asked = new Map(desired === undefined ? [] : [[clusterId, { desired, release }]]);
  const snapshot = (await readClusterSnapshots(deps, [cluster], { rules, asked })).get(clusterId);
  if (!snapshot) throw new Error(`Cluster ${clusterId} has no snapshot`);
  const { facts, stability } = snapshot;
  const found = assess(facts, rules);
  // An earlier attempt may have stored its decision and died: that decision counts.
  const stored = await saveDecision(deps.resources, {
    id: `dec_${operationId}`,
    clusterId,
    operationId,
    round: 0,
    atMs: facts.nowMs,
    decision: found,
    facts,
    sentence: explainDecision(found, rules),
  });
  failpoint('assessNeeds:decided');
  const score = stabilityScore(stability);
  const decision = stored.decision as Decision;
  const { direction, from, victims, charged, because } = decision;
  const atMs = stored.at.getTime();
  await Promise.all([
    saveScores(deps.resources, [{ clusterId, atMs, ...score }]),
    recordRecommendations(deps.resources, [{ clusterId, atMs, desired: decision.recommendation }]),
  ]);
  return {
    ...{ direction, from, desired: decision.desired, victims, charged, because },
    decisionId: stored.id,
    clusterId,
    epoch: cluster.epoch,
    scoreBefore: score.score,
    soak: {
      seconds: direction === 'none' ? 0 : (requestedSoak ?? soakSeconds(direction, rules)),
      samples: rules.passSamples,
    },
    explanation: stored.sentence,
  };
}

/**
 * Admits one scaling of a cluster at a time.
 * @throws ManagerError `not_found`, `state_conflict`.
 */
async function admit(tx: ClustersDb, clusterId: string, operationId: string): Promise<{ epoch: number }> {
  const { cluster, other } = (await lockForScaling(tx, { clusterId, operationId })) ?? {};
  requireScalable(cluster, clusterId);
  if (other === undefined) return { epoch: cluster.epoch };
  throw new ManagerError(
    'state_conflict',
    `Cluster "${clusterId}" is being scaled by operation ${other}; retry when that has ended, or cancel it`,
  );
}
