import { blockOf, vetoed, type Outcome, type Wish } from './outcome.js';
import type { Clamp, Veto } from './types.js';

/**
 * Growing: when usage was above the high mark in two samples, or demand is unmet; to at most twice the size, within the
 * maximum, the flap budget and one reversal. Reaching the minimum and replacing the dead need no budget and no reason.
 * What somebody asked for is bound by the maximum only.
 */
export const grow = (wish: Wish): Outcome => {
  const { facts, rules, usage, budget, because } = wish;
  const { nowMs, blocks } = facts;
  const { min, max } = facts.rule.size;
  const present = facts.members.length;
  const clamps: Clamp[] = [];
  let desired = wish.wished;
  const clampTo = (by: Clamp['by'], most: number): void => {
    if (desired > most) clamps.push({ by, from: desired, to: most });
    desired = Math.min(desired, most);
  };

  if (because === 'formula') {
    const told = { usage: usage.out ?? 0, before: usage.outBefore ?? 0 };
    const demand = demandOf(wish);
    const untilMs = settlingUntilMs(wish);
    if (demand === present && !isHot(wish)) return vetoed(present, [{ by: 'not_above_high', ...told }]);
    if (demand === present && untilMs !== null) return vetoed(present, [{ by: 'settling', ...told, untilMs }]);
    if (untilMs !== null) clampTo('settling', demand);
  }
  if (because === 'asked') return { ...vetoed(present, []), desired, charged: desired - present };
  clampTo('maximum', Math.max(present, max));

  clampTo('doubling', Math.max(min, Math.floor(present * rules.growthFactor)));
  const free = Math.min(desired - present, Math.max(0, min - present, facts.unreplaced));
  // Free additions remain when the others are refused; without any, the refusal is the whole answer.
  const refusal = (veto: Veto): Outcome | null => {
    if (free === 0) return vetoed(present, [veto], clamps);
    clampTo(veto.by as Clamp['by'], present + free);
    return null;
  };
  const reversalUntilMs = budget.reversalUntilMs.out;
  let refused: Outcome | null = null;
  if (desired > present + free && reversalUntilMs !== null) {
    refused = refusal({ by: 'reversal', untilMs: reversalUntilMs });
  }
  if (!refused && desired > present + free && budget.left === 0) {
    refused = refusal({ by: 'flap_budget', spent: budget.spent, untilMs: budget.freeAtMs });
  }
  if (refused) return refused;
  clampTo('flap_budget', present + free + budget.left);
  const block = desired > present + free ? blockOf(blocks, 'out', desired, nowMs) : undefined;
  if (block) refused = refusal({ by: 'blocked', desired: block.desired, untilMs: block.untilMs });
  return refused ?? { ...vetoed(present, [], clamps), desired, charged: desired - present - free };
};

/** Members needed for what waits, whatever the usage; the present size when nothing does. */
const demandOf = ({ facts, formula }: Wish): number =>
  Math.max(facts.members.length, formula.work?.members ?? 0, facts.waitedFor > 0 ? formula.unmet : 0);

const isHot = ({ rules, usage }: Wish): boolean =>
  (usage.out ?? 0) > rules.highUsage && (usage.outBefore ?? 0) > rules.highUsage;

/**
 * Until when usage is no reason to grow, because a member joined lately and every resource above the target falls: the
 * average then still holds what the smaller cluster was used to, and growing by it would answer the same load twice.
 * Usage that does not fall is true, or too low. Null when it is a reason.
 */
const settlingUntilMs = ({ facts, rules, usage }: Wish): number | null => {
  const untilMs = Math.max(...facts.members.map(({ joinedAtMs }) => joinedAtMs)) + rules.settleSeconds * 1000;
  const above = usage.resources.filter(({ out }) => out > rules.targetUsage);
  return untilMs > facts.nowMs && above.every(({ out, outBefore }) => out < outBefore) ? untilMs : null;
};
