import type { ScalingRules } from './rules.js';
import type { Formula, Term, Work } from './types.js';
import { fourDecimals } from './four-decimals.js';

/**
 * The number of members a cluster of `members` needs, the maximum of
 * - usage: ceil(n u / target),
 * - work: ceil(slots needed / slots a member), slots needed = in flight + backlog / (300 s x tasks a slot does a second),
 * - unmet: n + the unmet capacity of an earlier scaling.
 * A term within the tolerance of n counts as n.
 * @param input.usage 0..2, four decimals; null when no usage is measured.
 */
export const formulaOf = (input: {
  readonly members: number;
  readonly usage: number | null;
  readonly work: Work | null;
  readonly waitedFor: number;
  readonly rules: ScalingRules;
}): Formula => {
  const { members, rules } = input;
  const term = (needed: number): Term => {
    const exact = fourDecimals(needed);
    const near = Math.abs(exact - members) <= rules.tolerance * members + 1e-9;
    return { exact, members: near ? members : Math.ceil(exact) };
  };
  const usage =
    input.usage === null ? null : { ratio: input.usage, ...term((members * input.usage) / rules.targetUsage) };
  const work = input.work === null ? null : workTerm(input.work, rules, term);
  const unmet = members + Math.max(0, input.waitedFor);
  const terms = [usage?.members, work?.members, input.waitedFor > 0 ? unmet : undefined].filter((n) => n !== undefined);
  return { usage, work, unmet, desired: terms.length === 0 ? members : Math.max(...terms) };
};

const workTerm = (work: Work, rules: ScalingRules, term: (needed: number) => Term): Formula['work'] => {
  if (!(work.slotsPerMember > 0)) return null;
  const rate = work.tasksPerSlotSecond;
  // Without a service rate the backlog adds nothing here; `evidenceVetoes` in shrink.ts then vetoes shrinking.
  const waiting = rate !== null && rate > 0 ? work.backlog / (rules.drainSeconds * rate) : 0;
  const slots = fourDecimals(work.inFlight + waiting);
  return { slots, ...term(slots / work.slotsPerMember) };
};
