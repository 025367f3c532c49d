import { flapBudget } from './flap-budget.js';
import { formulaOf } from './formula.js';
import { grow } from './grow.js';
import { unchanged, type ScalingTarget } from './outcome.js';
import { defaultScalingRules, type ScalingRules } from './rules.js';
import { shrink } from './shrink.js';
import type { Clamp, ClusterFacts, Decision, Formula } from './types.js';
import { measureUsage } from './usage.js';

/**
 * Assesses how many members a cluster should have, with every input the decision follows from.
 * Growing counts members without a reading as idle, shrinking counts them as full, so that missing reports never change
 * a cluster's size. The caller stores the decision and records `recommendation` at every assessment, since later
 * assessments take it into account. A change is recorded with `charged` members against the flap budget.
 */
export const assess = (facts: ClusterFacts, rules: ScalingRules = defaultScalingRules): Decision => {
  const { members, work, waitedFor, rule } = facts;
  const present = members.length;
  const { min, max } = rule.size;
  const usage = measureUsage(members, facts.nowMs, rules);
  const shared = { members: present, work, waitedFor, rules };
  const formula = {
    out: formulaOf({ ...shared, usage: usage.out }),
    in: formulaOf({ ...shared, usage: usage.in }),
  };
  const { because, wished, bounded } = targetOf(facts, formula);
  const target: ScalingTarget = {
    facts,
    rules,
    usage,
    because,
    wished: bounded,
    formula: bounded > present ? formula.out : formula.in,
    budget: flapBudget(facts.changes, facts.nowMs, rules),
  };
  const outcome = bounded > present ? grow(target) : bounded < present ? shrink(target) : unchanged(present, []);
  const boundClamps: Clamp[] =
    bounded === wished ? [] : [{ by: bounded > wished ? 'minimum' : 'maximum', from: wished, to: bounded }];
  const direction = outcome.desired > present ? 'out' : outcome.desired < present ? 'in' : 'none';
  const isUrgent =
    present < min || ((usage.out ?? 0) > rules.urgentUsage && (usage.outBefore ?? 0) > rules.urgentUsage);
  const conservative = usage.in === null ? Math.max(present, formula.in.desired) : formula.in.desired;
  return {
    direction,
    from: present,
    desired: outcome.desired,
    urgency: direction === 'out' && isUrgent ? 'now' : 'interval',
    because,
    wished,
    recommendation: Math.min(max, Math.max(min, conservative)),
    victims: outcome.victims,
    charged: outcome.charged,
    usage,
    formula,
    after: outcome.after,
    waitedFor,
    work,
    size: { min, max },
    clamps: [...boundClamps, ...outcome.clamps],
    vetoes: outcome.vetoes,
  };
};

/** The size aimed for, before and after the size bounds. Only an explicit request is bounded here; the rest is bounded later. */
const targetOf = (
  { asked, members, rule }: ClusterFacts,
  formula: { readonly out: Formula; readonly in: Formula },
): Pick<Decision, 'because' | 'wished'> & { readonly bounded: number } => {
  const present = members.length;
  const { min, max } = rule.size;
  const plain = (because: Decision['because'], wished: number) => ({ because, wished, bounded: wished });
  if (asked !== null) return { because: 'asked', wished: asked, bounded: Math.min(max, Math.max(min, asked)) };
  if (present < min) return plain('below_minimum', min);
  if (present > max) return plain('above_maximum', max);
  if (formula.out.desired > present) return plain('formula', formula.out.desired);
  return plain('formula', Math.min(present, formula.in.desired));
};
