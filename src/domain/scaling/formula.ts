import type { ScalingRules } from './rules.js';
import type { Formula, Term, Work } from './types.js';
import { fourDecimals } from './four-decimals.js';

/**
 * How many members a cluster of `members` needs: the most of
 * - usage: ceil(n u / target),
 * - work: ceil(slots needed / slots a member), slots needed = in flight + backlog / (300 s x tasks a slot does a second),
 * - unmet: n + the members waited for.
 * A term within the tolerance of n is n.
 * @param input.usage 0..2, four decimals; null when nothing is measured.
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
  // How long the backlog takes is not known without a rate: counted as nothing here, it vetoes shrinking elsewhere.
  const waiting = rate !== null && rate > 0 ? work.backlog / (rules.drainSeconds * rate) : 0;
  const slots = fourDecimals(work.inFlight + waiting);
  return { slots, ...term(slots / work.slotsPerMember) };
};
