import { assess } from '../../domain/scaling/assess.js';
import { explainDecision } from '../../domain/scaling/explain.js';
import { flapBudget } from '../../domain/scaling/flap-budget.js';
import { planMoves, type Move, type RebalanceState } from '../../domain/scaling/rebalance.js';
import type { ScalingRules } from '../../domain/scaling/rules.js';
import type { ClusterFacts } from '../../domain/scaling/types.js';
import { stabilityScore } from '../../domain/stability/score.js';
import { clustersToAssess } from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { recordRecommendations, saveScores } from '../../stores/resources/index.js';
import { asActivity } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { readClusterSnapshots } from './read-facts.js';
import { rulesOf } from './rules.js';

export interface AssessPageInput {
  /** The last cluster of the page before; '' for the first. */
  readonly after: string;
  readonly limit: number;
  /** Only look: nothing is recorded. */
  readonly dryRun: boolean;
  /** What the same page left in the run before. */
  readonly balance: RebalanceState | null;
}

/** A cluster that is to change. */
export interface DueChange {
  readonly clusterId: string;
  readonly from: number;
  readonly desired: number;
  readonly urgency: 'now' | 'interval';
  readonly explanation: string;
}

export interface AssessedPage {
  readonly assessed: number;
  readonly changes: readonly DueChange[];
  readonly moves: readonly (Move & { readonly giverSize: number; readonly takerSize: number })[];
  readonly balance: RebalanceState;
  /** Where the next page begins; null after the last one. */
  readonly next: string | null;
}

/**
 * Assesses a page of clusters in a few questions for all of them, and plans moves between those of them that need no
 * change of their own. Scores and recommendations are recorded; who changes is for the workflow to start.
 */
export const assessPage = (deps: ActivityDeps) =>
  asActivity(async ({ after, limit, dryRun, balance }: AssessPageInput): Promise<AssessedPage> => {
    const rules = rulesOf(deps.settings);
    const rows = await clustersToAssess(deps.clusters, { after, limit });
    const pictures = await readClusterSnapshots(deps, rows, { rules });
    const assessed = [...pictures].map(([clusterId, { facts, stability }]) => ({
      clusterId,
      facts,
      decision: assess(facts, rules),
      score: stabilityScore(stability),
    }));
    failpoint('assessPage:before');
    if (!dryRun && assessed.length > 0) {
      await recordRecommendations(
        deps.resources,
        assessed.map(({ clusterId, facts, decision }) => ({
          clusterId,
          atMs: facts.nowMs,
          desired: decision.recommendation,
        })),
      );
      failpoint('assessPage:recommended');
      await saveScores(
        deps.resources,
        assessed.map(({ clusterId, facts, score }) => ({
          clusterId,
          atMs: facts.nowMs,
          ...score,
          parts: { ...score.parts },
        })),
      );
    }
    failpoint('assessPage:after-commit');
    const changes = assessed
      .filter(({ decision }) => decision.direction !== 'none')
      .map(({ clusterId, decision }) => ({
        clusterId,
        from: decision.from,
        desired: decision.desired,
        urgency: decision.urgency,
        explanation: explainDecision(decision, rules),
      }));
    const settled = assessed.filter(({ decision }) => decision.direction === 'none');
    const sizes = new Map(assessed.map(({ clusterId, facts }) => [clusterId, facts.members.length]));
    const plan = planMoves({
      clusters: settled.map(({ clusterId, facts }) => balancedOf(clusterId, facts, rules)),
      previous: balance,
      // A member is moved where it can stand in: it must have what its new cluster requires.
      mayMove: (agentId, clusterId) => {
        const target = pictures.get(clusterId)?.facts.rule.requiredCapabilities ?? [];
        const agent = settled.flatMap(({ facts }) => facts.members).find(({ id }) => id === agentId);
        return agent !== undefined && target.every((needed) => agent.capabilities.includes(needed));
      },
    });
    return {
      assessed: assessed.length,
      changes,
      moves: plan.moves.map((move) => ({
        ...move,
        giverSize: sizes.get(move.from) ?? 0,
        takerSize: sizes.get(move.to) ?? 0,
      })),
      balance: plan.state,
      next: rows.length < limit ? null : (rows.at(-1)?.id ?? null),
    };
  });

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
