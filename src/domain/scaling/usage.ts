import { highestBy } from '../order.js';
import { freshness } from './ewma.js';
import { fourDecimals } from './four-decimals.js';
import type { ScalingRules } from './rules.js';
import type { ResourceUsage, ScalingMember, Usage } from './types.js';

/**
 * Measures a cluster's usage by resource: used over offered, over all members. A member that is not ready, too new, or
 * without a fresh reading counts as idle for growing and as full for shrinking. A resource that no member has ever
 * reported is listed as unmeasured and affects neither. Ratios have four decimals, so that a reader can recalculate.
 */
export const measureUsage = (members: readonly ScalingMember[], nowMs: number, rules: ScalingRules): Usage => {
  const offered = [...new Set(members.flatMap(({ offers }) => Object.keys(offers)))].sort();
  const measured = offered.filter((resource) => members.some((member) => readingOf(member, resource) !== undefined));
  const stale = members.filter((member) =>
    measured.some((resource) => freshness(readingOf(member, resource), nowMs, rules) === 'stale'),
  );
  const resources = measured
    .map((resource) => measure(resource, members, nowMs, rules))
    .filter(({ capacity }) => capacity > 0);
  const out = highestBy(resources, (one) => one.out);
  const full = highestBy(resources, (one) => one.in);
  return {
    resources,
    out: out?.out ?? null,
    outBefore: out === undefined ? null : Math.max(...resources.map(({ outBefore }) => outBefore)),
    in: full?.in ?? null,
    outResource: out?.resource ?? null,
    inResource: full?.resource ?? null,
    unmeasured: offered.filter((resource) => !measured.includes(resource)),
    stale: stale.map(({ id }) => id),
  };
};

export const offerOf = (member: ScalingMember, resource: string): number => {
  const amount = Object.hasOwn(member.offers, resource) ? member.offers[resource] : undefined;
  return amount !== undefined && Number.isFinite(amount) && amount > 0 ? amount : 0;
};

const readingOf = (member: ScalingMember, resource: string) =>
  Object.hasOwn(member.usage, resource) ? member.usage[resource] : undefined;

const measure = (
  resource: string,
  members: readonly ScalingMember[],
  nowMs: number,
  rules: ScalingRules,
): ResourceUsage => {
  let capacity = 0;
  let out = 0;
  let before = 0;
  let full = 0;
  let silent = 0;
  for (const member of members) {
    const offer = offerOf(member, resource);
    if (offer === 0) continue;
    capacity += offer;
    const reading = readingOf(member, resource);
    const heard = member.ready && nowMs - member.joinedAtMs >= rules.newMemberSeconds * 1000;
    if (!heard || reading === undefined || freshness(reading, nowMs, rules) !== 'fresh') {
      silent += 1;
      full += offer;
      continue;
    }
    out += offer * reading.value;
    before += offer * (reading.previous ?? 0);
    full += offer * reading.value;
  }
  const ratio = (used: number): number => (capacity === 0 ? 0 : fourDecimals(used / capacity));
  return { resource, capacity, out: ratio(out), outBefore: ratio(before), in: ratio(full), silent };
};
