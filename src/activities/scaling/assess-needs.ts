import { ManagerError } from '../../contracts/errors.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import { assess } from '../../domain/scaling/assess.js';
import { explainDecision } from '../../domain/scaling/explain.js';
import { soakSeconds } from '../../domain/scaling/soak.js';
import type { Decision } from '../../domain/scaling/types.js';
import { stabilityScore } from '../../domain/stability/score.js';
import { lockForScaling, saveStep, type ClusterRow, type ClustersDb } from '../../stores/clusters/index.js';
import { recordRecommendations, saveDecision, saveScores } from '../../stores/resources/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { readClusterSnapshots } from './read-facts.js';
import { operationOf, type AssessNeedsInput } from './request.js';
import { rulesOf } from './rules.js';

export type { AssessNeedsInput } from './request.js';

/** What the later steps carry out. */
export interface AssessedNeeds {
  readonly decisionId: string;
  readonly clusterId: string;
  /** The cluster's epoch when it was assessed. */
  readonly epoch: number;
  readonly direction: 'out' | 'in' | 'none';
  readonly from: number;
  readonly desired: number;
  readonly victims: readonly string[];
  readonly charged: number;
  readonly because: Decision['because'];
  readonly scoreBefore: number | null;
  /** How long a change is watched, seconds. */
  readonly soakSeconds: number;
  readonly explanation: string;
}

/**
 * Step 1 of scale_cluster: what the cluster needs, from usage, work and bounds, and everything that this follows from,
 * stored as a decision.
 * @throws `InvalidRequest`, `CapabilityDisabled`, `IdempotencyConflict`, `NotFound`, `StateConflict` when the cluster is
 * not active or is being scaled already.
 */
export const assessNeeds = (deps: ActivityDeps) =>
  asActivity(async (input: AssessNeedsInput): Promise<AssessedNeeds> => {
    const operation = operationOf(deps, input);
    const key = { operationId: input.operationId, step: 'assessNeeds', round: 0 };
    return saveStep<AssessedNeeds>(
      deps.clusters,
      key,
      thisAttempt(),
      async (tx, { operation: { request } }) => decide(deps, tx, input.operationId, request),
      { accept: operation },
    );
  });

async function decide(
  deps: ActivityDeps,
  tx: ClustersDb,
  operationId: string,
  request: unknown,
): Promise<AssessedNeeds> {
  const { clusterId, desired, release } = parseScalingRequest(request);
  const cluster = await requireScalable(tx, clusterId, operationId);
  const rules = rulesOf(deps.settings);
  const asked = new Map(desired === undefined ? [] : [[clusterId, { desired, release }]]);
  const picture = (await readClusterSnapshots(deps, [cluster], { rules, asked })).get(clusterId);
  if (!picture) throw new Error(`Cluster ${clusterId} has no picture`);
  const { facts, stability } = picture;
  const found = assess(facts, rules);
  // An attempt before this one may have stored its decision and died: that one stands.
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
  const atMs = stored.at.getTime();
  await Promise.all([
    saveScores(deps.resources, [{ clusterId, atMs, ...score, parts: { ...score.parts } }]),
    recordRecommendations(deps.resources, [{ clusterId, atMs, desired: decision.recommendation }]),
  ]);
  return {
    decisionId: stored.id,
    clusterId,
    epoch: cluster.epoch,
    direction: decision.direction,
    from: decision.from,
    desired: decision.desired,
    victims: decision.victims,
    charged: decision.charged,
    because: decision.because,
    scoreBefore: score.score,
    soakSeconds: decision.direction === 'none' ? 0 : soakSeconds(decision.direction, rules),
    explanation: stored.sentence,
  };
}

async function requireScalable(tx: ClustersDb, clusterId: string, operationId: string): Promise<ClusterRow> {
  const found = await lockForScaling(tx, { clusterId, operationId });
  if (!found) throw new ManagerError('not_found', `There is no cluster "${clusterId}"`);
  const { cluster, other } = found;
  if (cluster.state !== 'active') {
    throw new ManagerError(
      'state_conflict',
      `Cluster "${clusterId}" is ${cluster.state}; only an active cluster can be scaled`,
    );
  }
  if (other === undefined) return cluster;
  throw new ManagerError(
    'state_conflict',
    `Cluster "${clusterId}" is being scaled by operation ${other}; ask again when that has ended, or cancel it`,
  );
}
