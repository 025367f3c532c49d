import { defaultScalingRules, type ScalingRules } from './rules.js';
import type { Clamp, Decision, Formula, Veto } from './types.js';

/**
 * Explains a decision in one sentence: the change, the terms of the formula with their numbers, the clamps, and the
 * vetoes. Every number is the one used in the calculation, so that the sentence can be checked by hand.
 * @param rules the rules that the decision was made with.
 * @example "Grows from 5 to 7 members at once: usage of slots 0.96 (0.955 a sample before) needs ceil(5 x 0.96 / 0.65) =
 * ceil(7.3846) = 8 members; the flap budget limits 8 to 7."
 */
export const explainDecision = (decision: Decision, rules: ScalingRules = defaultScalingRules): string => {
  const parts = [
    headOf(decision),
    ...reasonsOf(decision, rules),
    ...decision.clamps.map((clamp) => clampText(clamp, decision, rules)),
    ...(decision.vetoes.length > 0
      ? [`not done, because ${decision.vetoes.map((v) => vetoText(v, rules)).join(', and ')}`]
      : []),
  ];
  const [head = '', ...rest] = parts;
  return `${rest.length === 0 ? head : `${head}: ${rest.join('; ')}`}.`;
};

const headOf = ({ direction, from, desired, urgency, victims }: Decision): string => {
  if (direction === 'none') return `Stays at ${count(from)}`;
  if (direction === 'out') return `Grows from ${from} to ${count(desired)}${urgency === 'now' ? ' at once' : ''}`;
  return `Shrinks from ${from} to ${count(desired)}, of which ${victims.join(', ')} ${victims.length === 1 ? 'leaves' : 'leave'}`;
};

const reasonsOf = (decision: Decision, rules: ScalingRules): string[] => {
  const { because, from, size, wished } = decision;
  if (because === 'asked') return [`${wished} was requested, within ${size.min} to ${size.max}`];
  if (because === 'below_minimum') return [`${from} is below the minimum of ${size.min}`];
  if (because === 'above_maximum') return [`${from} is above the maximum of ${size.max}`];
  const growing = wished > from;
  const reasons = formulaText(decision, growing ? decision.formula.out : decision.formula.in, growing, rules);
  const { after } = decision;
  if (after)
    reasons.push(`the remaining members then use ${after.usage} of ${after.resource}, at most ${rules.afterUsage}`);
  return reasons;
};

const formulaText = (decision: Decision, formula: Formula, growing: boolean, rules: ScalingRules): string[] => {
  const { usage, from, waitedFor, work } = decision;
  const terms: string[] = [];
  if (formula.usage === null) terms.push('no usage is measured');
  else {
    const resource = growing ? usage.outResource : usage.inResource;
    const one = usage.resources.find((each) => each.resource === resource);
    const before = growing ? ` (${usage.outBefore} a sample before)` : '';
    const silent =
      one && one.silent > 0 ? `, ${count(one.silent)} without a reading counted as ${growing ? 'idle' : 'full'},` : '';
    const fraction = `${from} x ${formula.usage.ratio} / ${rules.targetUsage}`;
    terms.push(
      `usage of ${resource} ${formula.usage.ratio}${before}${silent} needs ${termText(fraction, formula.usage, from, rules)}`,
    );
  }
  if (formula.work && work) {
    const rate = work.tasksPerSlotSecond;
    const waiting =
      work.backlog === 0
        ? ''
        : rate !== null && rate > 0
          ? ` + ${work.backlog} waiting / (${rules.drainSeconds} s x ${rate} a slot)`
          : ` + ${work.backlog} waiting at an unknown rate`;
    const needed = `${work.inFlight} in flight${waiting}`;
    const slots = waiting === '' ? needed : `${needed} = ${formula.work.slots} slots`;
    const fraction = `${formula.work.slots} / ${work.slotsPerMember}`;
    terms.push(`work of ${slots} needs ${termText(fraction, formula.work, from, rules)}`);
  }
  if (waitedFor > 0)
    terms.push(`unmet capacity of ${waitedFor} makes ${from} + ${waitedFor} = ${count(formula.unmet)}`);
  return terms;
};

const termText = (
  fraction: string,
  { exact, members }: { exact: number; members: number },
  from: number,
  rules: ScalingRules,
): string =>
  Math.ceil(exact) === members
    ? `ceil(${fraction}) = ceil(${exact}) = ${count(members)}`
    : `${fraction} = ${exact}, within ${percent(rules.tolerance)} of ${from} and so ${count(members)}`;

const clampText = ({ by, from, to }: Clamp, { size }: Decision, rules: ScalingRules): string => {
  const what = {
    minimum: `the minimum of ${size.min}`,
    maximum: `the maximum of ${size.max}`,
    doubling: `at most ${rules.growthFactor} times the size in a round`,
    settling: `falling usage after a member joined within ${rules.settleSeconds} s`,
    window: `the highest recommendation of the last ${rules.windowSeconds} s`,
    step: `one member or ${percent(rules.shrinkShare)} in a round`,
    flap_budget: `the flap budget of ${rules.budgetChanges} in ${rules.budgetSeconds} s`,
    reversal: `the one reversal in ${rules.reversalSeconds} s`,
    blocked: 'a block after a rollback',
    after_state: `the after-state of at most ${rules.afterUsage}`,
    safety: 'coverage, roles, spread and quorum',
  }[by];
  return `${what} limits ${from} to ${to}`;
};

const vetoText = (veto: Veto, rules: ScalingRules): string => {
  switch (veto.by) {
    case 'no_metrics':
      return 'no member reports its usage';
    case 'not_above_high':
      return `usage ${veto.usage} (${veto.before} a sample before) is not above ${rules.highUsage} twice, and no demand is unmet`;
    case 'settling':
      return `usage ${veto.usage} (${veto.before} a sample before) is falling and may reflect the smaller cluster until ${time(veto.untilMs)}`;
    case 'not_below_low':
      return `usage ${veto.usage} is not below ${rules.lowUsage}`;
    case 'stale_metrics':
      return `the metrics of ${veto.members.join(', ')} are older than ${rules.staleAfterPeriods * rules.samplePeriodSeconds} s`;
    case 'unknown_service_rate':
      return `${veto.backlog} tasks wait and their service rate is unknown`;
    case 'window_open':
      return `the cluster has not been observed for ${rules.windowSeconds} s yet; that is the case at ${time(veto.untilMs)}`;
    case 'recommended_lately':
      return `${veto.desired} was recommended at ${time(veto.atMs)}, within the last ${rules.windowSeconds} s`;
    case 'after_state':
      return `with ${veto.members} fewer, usage of ${veto.resource} would be ${veto.usage}, above ${rules.afterUsage}`;
    case 'safety':
      return `no member can be removed (${veto.reasons.join('; ')})`;
    case 'flap_budget':
      return `the flap budget of ${rules.budgetChanges} changes in ${rules.budgetSeconds} s is spent (${veto.spent}) until ${time(veto.untilMs)}`;
    case 'reversal':
      return `the direction changed within the last ${rules.reversalSeconds} s and may change again at ${time(veto.untilMs)}`;
    case 'blocked':
      return `${veto.desired} was rolled back and is blocked until ${time(veto.untilMs)}`;
    default:
      return veto satisfies never;
  }
};

const count = (members: number): string => `${members} ${members === 1 ? 'member' : 'members'}`;
const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
const time = (atMs: number): string => new Date(atMs).toISOString();
