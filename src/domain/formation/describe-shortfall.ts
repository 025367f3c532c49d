import type { Shortfall } from './types.js';

/**
 * Describes in one sentence what a formation lacks, and in a second what to do about it.
 * @param rejected agents that were not eligible, counted by reason (`lease_expired`, `no_capacity`, ...).
 * @returns for example: needs 3 agents, 2 are eligible; no eligible agent has the capability "vision"; 12 agents were rejected:
 * 7 lease_expired, 5 no_capacity. Register agents with the capability or lower size.min. Empty without a shortfall.
 */
export const describeShortfall = (
  shortfall: readonly Shortfall[],
  rejected: Readonly<Record<string, number>> = {},
): string => {
  if (shortfall.length === 0) return '';
  const facts = shortfall.map(factOf);
  const reasons = Object.entries(rejected)
    .filter(([, count]) => count > 0)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  if (reasons.length > 0) {
    const sum = reasons.reduce((total, [, count]) => total + count, 0);
    const counts = reasons.map(([reason, count]) => `${count} ${reason}`).join(', ');
    facts.push(`${sum} ${sum === 1 ? 'agent was' : 'agents were'} rejected: ${counts}`);
  }
  const advice = orList([...new Set(shortfall.flatMap(adviceFor))]);
  return `${facts.join('; ')}. ${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`;
};

const factOf = (short: Shortfall): string => {
  switch (short.kind) {
    case 'capability':
      return `no eligible agent has the capability "${short.capability}"`;
    case 'role':
      return short.found < short.min
        ? `role "${short.role}" needs ${agents(short.min)} with the capability "${short.capability}", ${areEligible(short.found)}`
        : `role "${short.role}" may have ${agents(short.max)}, ${short.found} hold it`;
    case 'size':
      return short.found < short.min
        ? `needs ${agents(short.min)}, ${areEligible(short.found)}`
        : `may have ${agents(short.max)}, there are ${short.found}`;
    case 'spread': {
      const rule = `the hard spread allows ${short.allowedPerGroup} of ${agents(short.needed)} on one ${short.by}`;
      const unknown = short.unknown > 0 ? `, and ${agents(short.unknown)} reported no ${short.by}` : '';
      return `${rule}, so only ${short.placeable} can be placed${unknown}`;
    }
    case 'room':
      return `no ${short.max} of the eligible agents meet every need at once: unmet ${short.unmet.map(quoted).join(', ')}`;
    default:
      return short satisfies never;
  }
};

const adviceFor = (short: Shortfall): string[] => {
  switch (short.kind) {
    case 'capability':
      return ['register agents with the capability'];
    case 'role':
      return short.found < short.min
        ? [`register agents for role "${short.role}"`, `lower its min`]
        : [`raise the max of role "${short.role}"`];
    case 'size':
      return short.found < short.min ? ['register more agents', 'lower size.min'] : ['raise size.max'];
    case 'spread':
      return [
        `register agents on other ${short.by}s`,
        ...(short.unknown > 0 ? [`have agents report their ${short.by}`] : []),
        'ask for a soft spread',
      ];
    case 'room':
      return ['register more agents that meet these needs', 'raise size.max'];
    default:
      return short satisfies never;
  }
};

const agents = (count: number): string => `${count} ${count === 1 ? 'agent' : 'agents'}`;
const areEligible = (count: number): string => `${count} ${count === 1 ? 'is' : 'are'} eligible`;
const quoted = (name: string): string => `"${name}"`;
const orList = (items: readonly string[]): string =>
  items.length <= 1 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`;
