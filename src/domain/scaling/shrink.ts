import { highestBy } from '../order.js';
import { highestRatio } from './ewma.js';
import { blockVetoes, budgetVetoes, unchanged, type Outcome, type ScalingTarget } from './outcome.js';
import type { Clamp, Decision, ScalingMember, Usage, Veto } from './types.js';
import { fourDecimals } from './four-decimals.js';
import { offerOf } from './usage.js';
import { chooseVictims } from './victims.js';

/**
 * Shrinks a cluster only when every recommendation of the stabilization window was lower, usage is below the low mark, no
 * reading is stale, and the remaining members would stay below the after-state usage. One round removes one member or a
 * fifth, within the flap budget and the reversal limit, and never breaks coverage, roles, hard spread or quorum. A
 * cluster above its maximum shrinks whatever its usage. An explicit request is bounded by the minimum and by safety only.
 */
export const shrink = (wish: ScalingTarget): Outcome => {
  const { facts, rules, usage, budget, because } = wish;
  const { rule, members } = facts;
  const present = members.length;
  const vetoes = [
    ...(because === 'formula' ? evidenceVetoes(wish) : []),
    ...(because === 'asked' ? [] : budgetVetoes(budget, 'in')),
  ];
  if (vetoes.length > 0) return unchanged(present, vetoes);

  const clamps: Clamp[] = [];
  let desired = wish.wished;
  const clampTo = (by: Clamp['by'], least: number): void => {
    if (desired < least) clamps.push({ by, from: desired, to: least });
    desired = Math.max(desired, least);
  };
  if (because === 'formula') {
    clampTo('window', highestRecentRecommendation(wish)?.desired ?? 0);
    clampTo('minimum', rule.size.min);
  }
  if (because !== 'asked') {
    clampTo('step', present - Math.max(1, Math.floor(rules.shrinkShare * present + 1e-9)));
    clampTo('flap_budget', present - budget.left);
  }
  if (desired >= present) return unchanged(present, [], clamps);

  const { release } = facts;
  const { ids, refused } = chooseVictims({
    members,
    rule,
    count: present - desired,
    ...(release === null ? {} : { eligible: (id: string) => release.includes(id) }),
  });
  if (ids.length === 0) return unchanged(present, [{ by: 'safety', reasons: refused }], clamps);
  clampTo('safety', present - ids.length);

  let victims = [...ids];
  if (because === 'formula') {
    while (victims.length > 0 && (usageAfter(members, victims, usage)?.usage ?? 0) > rules.afterUsage) {
      victims = victims.slice(0, -1);
    }
    const first = usageAfter(members, ids.slice(0, 1), usage);
    if (victims.length === 0 && first) return unchanged(present, [{ by: 'after_state', ...first, members: 1 }], clamps);
    clampTo('after_state', present - victims.length);
  }
  const block = because === 'asked' ? [] : blockVetoes(facts, 'in', desired);
  if (block.length > 0) return unchanged(present, block, clamps);
  return { desired, charged: victims.length, victims, after: usageAfter(members, victims, usage), clamps, vetoes: [] };
};

/** Vetoes against shrinking because the evidence for a lower need is missing, stale or contradicted. */
const evidenceVetoes = ({ facts, rules, usage }: ScalingTarget): Veto[] => {
  const found: Veto[] = [];
  if (usage.in === null) found.push({ by: 'no_metrics' });
  else if (usage.in >= rules.lowUsage) found.push({ by: 'not_below_low', usage: usage.in });
  if (usage.stale.length > 0) found.push({ by: 'stale_metrics', members: usage.stale });
  if (facts.work && facts.work.backlog > 0 && !((facts.work.tasksPerSlotSecond ?? 0) > 0)) {
    found.push({ by: 'unknown_service_rate', backlog: facts.work.backlog });
  }
  const openUntilMs = facts.watchedSinceMs + rules.windowSeconds * 1000;
  if (facts.nowMs < openUntilMs) found.push({ by: 'window_open', untilMs: openUntilMs });
  const highest = highestRecentRecommendation({ facts, rules });
  if (highest && highest.desired >= facts.members.length) found.push({ by: 'recommended_lately', ...highest });
  return found;
};

/** The highest recommendation of the window, the newest among equals. One from the future (a clock jumped) counts. */
const highestRecentRecommendation = ({ facts, rules }: Pick<ScalingTarget, 'facts' | 'rules'>) =>
  facts.recommendations
    .filter(({ atMs }) => atMs > facts.nowMs - rules.windowSeconds * 1000)
    .map(({ desired, atMs }) => ({ desired, atMs }))
    .sort((a, b) => b.desired - a.desired || b.atMs - a.atMs)
    .at(0);

/** The most used resource when the remaining members take over all the work. */
const usageAfter = (members: readonly ScalingMember[], victims: readonly string[], usage: Usage): Decision['after'] => {
  const staying = members.filter(({ id }) => !victims.includes(id));
  const after = usage.resources.map(({ resource, capacity, in: ratio }) => {
    const left = staying.reduce((sum, member) => sum + offerOf(member, resource), 0);
    return { resource, usage: left > 0 ? fourDecimals((ratio * capacity) / left) : ratio > 0 ? highestRatio : 0 };
  });
  return highestBy(after, (one) => one.usage) ?? null;
};
