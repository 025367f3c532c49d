import { highestRatio } from './ewma.js';
import { blockOf, vetoed, type Outcome, type Wish } from './outcome.js';
import type { Clamp, Decision, ScalingMember, Usage, Veto } from './types.js';
import { fourDecimals } from './four-decimals.js';
import { offerOf } from './usage.js';
import { chooseVictims } from './victims.js';

/**
 * Shrinking: only when every recommendation of the window was lower, usage is below the low mark, no metric is stale,
 * and those that stay would not be used above the after-state; one member or a fifth a round, within the flap budget
 * and one reversal, never against coverage, roles, hard spread or quorum. A size above its maximum shrinks whatever its
 * usage; what somebody asked for is bound by the minimum and by safety only.
 */
export const shrink = (wish: Wish): Outcome => {
  const { facts, rules, usage, budget, because } = wish;
  const { rule, members, nowMs } = facts;
  const present = members.length;
  const vetoes = [...(because === 'formula' ? doubts(wish) : []), ...(because === 'asked' ? [] : spent(wish))];
  if (vetoes.length > 0) return vetoed(present, vetoes);

  const clamps: Clamp[] = [];
  let desired = wish.wished;
  const clampTo = (by: Clamp['by'], least: number): void => {
    if (desired < least) clamps.push({ by, from: desired, to: least });
    desired = Math.max(desired, least);
  };
  if (because === 'formula') {
    clampTo('window', highestLately(wish)?.desired ?? 0);
    clampTo('minimum', rule.size.min);
  }
  if (because !== 'asked') {
    clampTo('step', present - Math.max(1, Math.floor(rules.shrinkShare * present + 1e-9)));
    clampTo('flap_budget', present - budget.left);
  }
  if (desired >= present) return vetoed(present, [], clamps);

  const { release } = facts;
  const { ids, refused } = chooseVictims({
    members,
    rule,
    count: present - desired,
    ...(release === null ? {} : { eligible: (id: string) => release.includes(id) }),
  });
  if (ids.length === 0) return vetoed(present, [{ by: 'safety', reasons: refused }], clamps);
  clampTo('safety', present - ids.length);

  let victims = [...ids];
  if (because === 'formula') {
    while (victims.length > 0 && (afterState(members, victims, usage)?.usage ?? 0) > rules.afterUsage) {
      victims = victims.slice(0, -1);
    }
    const first = afterState(members, ids.slice(0, 1), usage);
    if (victims.length === 0 && first) return vetoed(present, [{ by: 'after_state', ...first, members: 1 }], clamps);
    clampTo('after_state', present - victims.length);
  }
  const block = because === 'asked' ? undefined : blockOf(facts.blocks, 'in', desired, nowMs);
  if (block) return vetoed(present, [{ by: 'blocked', desired: block.desired, untilMs: block.untilMs }], clamps);
  return { desired, charged: victims.length, victims, after: afterState(members, victims, usage), clamps, vetoes: [] };
};

/** What speaks against believing that less is needed. */
const doubts = ({ facts, rules, usage, ...wish }: Wish): Veto[] => {
  const found: Veto[] = [];
  if (usage.in === null) found.push({ by: 'no_metrics' });
  else if (usage.in >= rules.lowUsage) found.push({ by: 'not_below_low', usage: usage.in });
  if (usage.stale.length > 0) found.push({ by: 'stale_metrics', members: usage.stale });
  if (facts.work && facts.work.backlog > 0 && !((facts.work.tasksPerSlotSecond ?? 0) > 0)) {
    found.push({ by: 'unknown_service_rate', backlog: facts.work.backlog });
  }
  const openUntilMs = facts.watchedSinceMs + rules.windowSeconds * 1000;
  if (facts.nowMs < openUntilMs) found.push({ by: 'window_open', untilMs: openUntilMs });
  const highest = highestLately({ facts, rules, usage, ...wish });
  if (highest && highest.desired >= facts.members.length) found.push({ by: 'recommended_lately', ...highest });
  return found;
};

const spent = ({ budget }: Wish): Veto[] => {
  const found: Veto[] = [];
  const untilMs = budget.reversalUntilMs.in;
  if (untilMs !== null) found.push({ by: 'reversal', untilMs });
  if (budget.left === 0) found.push({ by: 'flap_budget', spent: budget.spent, untilMs: budget.freeAtMs });
  return found;
};

/** The highest recommendation of the window, the newest of equals; one from the future (a clock jumped) counts. */
const highestLately = ({ facts, rules }: Wish): { desired: number; atMs: number } | undefined =>
  facts.recommendations
    .filter(({ atMs }) => atMs > facts.nowMs - rules.windowSeconds * 1000)
    .reduce<{ desired: number; atMs: number } | undefined>(
      (most, one) =>
        !most || one.desired > most.desired || (one.desired === most.desired && one.atMs > most.atMs)
          ? { desired: one.desired, atMs: one.atMs }
          : most,
      undefined,
    );

/** The fullest resource when the same work is left to those that stay. */
const afterState = (members: readonly ScalingMember[], victims: readonly string[], usage: Usage): Decision['after'] => {
  const staying = members.filter(({ id }) => !victims.includes(id));
  return usage.resources
    .map(({ resource, capacity, in: ratio }) => {
      const left = staying.reduce((sum, member) => sum + offerOf(member, resource), 0);
      return { resource, usage: left > 0 ? fourDecimals((ratio * capacity) / left) : ratio > 0 ? highestRatio : 0 };
    })
    .reduce<Decision['after']>((most, one) => (most === null || one.usage > most.usage ? one : most), null);
};
