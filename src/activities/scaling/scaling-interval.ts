import { assess } from '../../domain/scaling/assess.js';
import { explainDecision } from '../../domain/scaling/explain.js';
import { flapBudget } from '../../domain/scaling/flap-budget.js';
import { planMoves, type Move, type RebalanceState } from '../../domain/scaling/rebalance.js';
import type { ScalingRules } from '../../domain/scaling/rules.js';
import type { ClusterFacts, Decision } from '../../domain/scaling/types.js';
import { stabilityScore, type StabilityScore } from '../../domain/stability/score.js';
import { clustersToAssess } from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { recordRecommendations, saveScores } from '../../stores/resources/index.js';
import type { ScalingDeps } from '../deps.js';
import { readClusterSnapshots, rulesOf } from './read-facts.js';

export interface AssessPageInput {
  /** The last cluster of the previous page; '' for the first page. */
  readonly after: string;
  readonly limit: number;
  /** Whether to assess without recording anything. */
  readonly dryRun: boolean;
  /** The state that the same page had after the previous run. */
  readonly balance: RebalanceState | null;
}

/** A cluster with a due change. */
export interface DueChange extends Pick<Decision, 'from' | 'desired' | 'urgency'> {
  readonly clusterId: string;
  readonly explanation: string;
}

export interface AssessedPage {
  readonly assessed: number;
  readonly changes: readonly DueChange[];
  readonly moves: readonly (Move & { readonly giverSize: number; readonly takerSize: number })[];
  readonly balance: RebalanceState;
  /** Where the next page begins; null after the last page. */
  readonly next: string | null;
}

interface Assessment {
  readonly clusterId: string;
  readonly facts: ClusterFacts;
  readonly decision: Decision;
  readonly score: StabilityScore;
}

/**
 * Assesses a page of clusters with a few queries for all of them, and plans moves between those that need no change of
 * their own. Scores and recommendations are recorded; the workflow starts the changes.
 */
export async function assessPage(
  deps: ScalingDeps,
  { after, limit, dryRun, balance }: AssessPageInput,
): Promise<AssessedPage> {
  const rules = rulesOf(deps.settings);
  const rows = await clustersToAssess(deps.clusters, { after, limit });
  const snapshots = await readClusterSnapshots(deps, rows, { rules });
  const assessed = [...snapshots].map(([clusterId, { facts, stability }]) => ({
    clusterId,
    facts,
    decision: assess(facts, rules),
    score: stabilityScore(stability),
  }));
  failpoint('assessPage:before');
  if (!dryRun && assessed.length > 0) await record(deps, assessed);
  failpoint('assessPage:after-commit');
  const due = assessed.filter(({ decision }) => decision.direction !== 'none');
  const { moves, state } = planMovesBetween(assessed, balance, rules);
  return {
    assessed: assessed.length,
    changes: due.map(({ clusterId, decision }) => ({
      clusterId,
      from: decision.from,
      desired: decision.desired,
      urgency: decision.urgency,
      explanation: explainDecision(decision, rules),
    })),
    moves,
    balance: state,
    next: rows.length < limit ? null : (rows.at(-1)?.id ?? null),
  };
}

async function record({ resources }: ScalingDeps, assessed: readonly Assessment[]): Promise<void> {
  await recordRecommendations(
    resources,
    assessed.map(({ clusterId, facts, decision }) => ({
      clusterId,
      atMs: facts.nowMs,
      desired: decision.recommendation,
    })),
  );
  failpoint('assessPage:recommended');
  await saveScores(
    resources,
    assessed.map(({ clusterId, facts, score }) => ({ clusterId, atMs: facts.nowMs, ...score })),
  );
}

/** Plans moves between the clusters that need no change of their own. */
function planMovesBetween(assessed: readonly Assessment[], previous: RebalanceState | null, rules: ScalingRules) {
  const unchanged = assessed.filter(({ decision }) => decision.direction === 'none');
  const clusters = new Map(assessed.map(({ clusterId, facts }) => [clusterId, facts]));
  const members = new Map(unchanged.flatMap(({ facts }) => facts.members.map((member) => [member.id, member])));
  const sizeOf = (clusterId: string): number => clusters.get(clusterId)?.members.length ?? 0;
  const { moves, state } = planMoves({
    clusters: unchanged.map(({ clusterId, facts }) => balancedOf(clusterId, facts, rules)),
    previous,
    // A moved member must have the capabilities that its new cluster requires.
    mayMove: (agentId, clusterId) => {
      const required = clusters.get(clusterId)?.rule.requiredCapabilities ?? [];
      const member = members.get(agentId);
      return member !== undefined && required.every((needed) => member.capabilities.includes(needed));
    },
  });
  return {
    moves: moves.map((move) => ({ ...move, giverSize: sizeOf(move.from), takerSize: sizeOf(move.to) })),
    state,
  };
}

function balancedOf(id: string, facts: ClusterFacts, rules: ScalingRules) {
  const used: Record<string, number> = {};
  for (const member of facts.members) {
    for (const [resource, reading] of Object.entries(member.usage)) {
      used[resource] = (used[resource] ?? 0) + reading.value * (member.offers[resource] ?? 0);
    }
  }
  const { rule, members, changes, nowMs } = facts;
  return { id, rule, members, used, changesLeft: flapBudget(changes, nowMs, rules).left };
}
