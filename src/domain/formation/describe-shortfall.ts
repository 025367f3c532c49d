import { byText } from '../order.js';
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
  const sentences = shortfall.map(describe);
  const facts = sentences.map(({ fact }) => fact);
  const reasons = Object.entries(rejected)
    .filter(([, count]) => count > 0)
    .sort(([a, m], [b, n]) => n - m || byText(a, b));
  if (reasons.length > 0) {
    const sum = reasons.reduce((total, [, count]) => total + count, 0);
    const counts = reasons.map(([reason, count]) => `${count} ${reason}`).join(', ');
    facts.push(`${sum} ${sum === 1 ? 'agent was' : 'agents were'} rejected: ${counts}`);
  }
  const advice = orList([...new Set(sentences.flatMap(({ advice }) => advice))]);
  return `${facts.join('; ')}. ${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`;
};

const describe = (short: Shortfall): { readonly fact: string; readonly advice: readonly string[] } => {
  switch (short.kind) {
    case 'capability':
      return {
        fact: `no eligible agent has the capability "${short.capability}"`,
        advice: ['register agents with the capability'],
      };
    case 'role':
      return short.found < short.min
        ? {
            fact: `role "${short.role}" needs ${agents(short.min)} with the capability "${short.capability}", ${areEligible(short.found)}`,
            advice: [`register agents for role "${short.role}"`, `lower its min`],
          }
        : {
            fact: `role "${short.role}" may have ${agents(short.max)}, ${short.found} hold it`,
            advice: [`raise the max of role "${short.role}"`],
          };
    case 'size':
      return short.found < short.min
        ? {
            fact: `needs ${agents(short.min)}, ${areEligible(short.found)}`,
            advice: ['register more agents', 'lower size.min'],
          }
        : { fact: `may have ${agents(short.max)}, there are ${short.found}`, advice: ['raise size.max'] };
    case 'spread': {
      const { by, unknown } = short;
      const rule = `the hard spread allows ${short.allowedPerGroup} of ${agents(short.needed)} on one ${by}, so only ${short.placeable} can be placed`;
      return {
        fact: unknown > 0 ? `${rule}, and ${agents(unknown)} reported no ${by}` : rule,
        advice: [
          `register agents on other ${by}s`,
          ...(unknown > 0 ? [`have agents report their ${by}`] : []),
          'ask for a soft spread',
        ],
      };
    }
    case 'room':
      return {
        fact: `no ${short.max} of the eligible agents meet every need at once: unmet ${short.unmet.map((name) => `"${name}"`).join(', ')}`,
        advice: ['register more agents that meet these needs', 'raise size.max'],
      };
    default:
      return short satisfies never;
  }
};

const agents = (count: number): string => `${count} ${count === 1 ? 'agent' : 'agents'}`;
const areEligible = (count: number): string => `${count} ${count === 1 ? 'is' : 'are'} eligible`;
const orList = (items: readonly string[]): string =>
  items.length <= 1 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`;
