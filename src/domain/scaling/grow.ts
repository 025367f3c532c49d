import { blockVetoes, budgetVetoes, unchanged, type Outcome, type ScalingTarget } from './outcome.js';
import type { Clamp, Veto } from './types.js';

/**
 * Grows a cluster when usage was above the high mark in two samples or demand is unmet: to at most twice the size, within
 * the maximum, the flap budget and the reversal limit. Reaching the minimum and replacing lost members is always allowed
 * and costs no budget. An explicit request is bounded by the maximum only.
 */
export const grow = (wish: ScalingTarget): Outcome => {
  const { facts, rules, usage, budget, because } = wish;
  const { min, max } = facts.rule.size;
  const present = facts.members.length;
  const clamps: Clamp[] = [];
  let desired = wish.wished;
  const clampTo = (by: Clamp['by'], most: number): void => {
    if (desired > most) clamps.push({ by, from: desired, to: most });
    desired = Math.min(desired, most);
  };

  if (because === 'formula') {
    const readings = { usage: usage.out ?? 0, before: usage.outBefore ?? 0 };
    const demand = demandedMembers(wish);
    const untilMs = settlesAtMs(wish);
    if (demand === present && !isHot(wish)) return unchanged(present, [{ by: 'not_above_high', ...readings }]);
    if (demand === present && untilMs !== null) return unchanged(present, [{ by: 'settling', ...readings, untilMs }]);
    if (untilMs !== null) clampTo('settling', demand);
  }
  if (because === 'asked') return { ...unchanged(present, []), desired, charged: desired - present };
  clampTo('maximum', Math.max(present, max));

  clampTo('doubling', Math.max(min, Math.floor(present * rules.growthFactor)));
  const free = Math.min(desired - present, Math.max(0, min - present, facts.unreplaced));
  // Additions that cost no budget remain when the others are refused; without any, the whole change is refused.
  const isRefused = ([veto]: readonly Veto[]): boolean => {
    if (veto === undefined || desired <= present + free) return false;
    if (free > 0) clampTo(veto.by as Clamp['by'], present + free);
    return free === 0;
  };
  const ofBudget = budgetVetoes(budget, 'out');
  if (isRefused(ofBudget)) return unchanged(present, ofBudget.slice(0, 1), clamps);
  clampTo('flap_budget', present + free + budget.left);
  const ofBlock = blockVetoes(facts, 'out', desired);
  if (isRefused(ofBlock)) return unchanged(present, ofBlock, clamps);
  return { ...unchanged(present, [], clamps), desired, charged: desired - present - free };
};

/** Members needed for waiting work and unmet capacity, whatever the usage; the present size when neither exists. */
const demandedMembers = ({ facts, formula }: ScalingTarget): number =>
  Math.max(facts.members.length, formula.work?.members ?? 0, facts.waitedFor > 0 ? formula.unmet : 0);

const isHot = ({ rules, usage }: ScalingTarget): boolean =>
  (usage.out ?? 0) > rules.highUsage && (usage.outBefore ?? 0) > rules.highUsage;

/**
 * Until when usage does not justify growing, because a member joined recently and the usage of every resource above the
 * target is falling: the average still reflects the smaller cluster, and growing would answer the same load twice.
 * Null when usage counts.
 */
const settlesAtMs = ({ facts, rules, usage }: ScalingTarget): number | null => {
  const untilMs = Math.max(...facts.members.map(({ joinedAtMs }) => joinedAtMs)) + rules.settleSeconds * 1000;
  const above = usage.resources.filter(({ out }) => out > rules.targetUsage);
  return untilMs > facts.nowMs && above.every(({ out, outBefore }) => out < outBefore) ? untilMs : null;
};
