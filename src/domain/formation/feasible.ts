import { allowedPerGroup, groupOf, placeable } from './spread.js';
import type { Placed, RuleWithKept, Shortfall, Spread } from './types.js';

/**
 * Checks a finished set of members against a request, independently of how it was chosen.
 * @param members the whole cluster, kept members included, with the roles they hold. An id counts once.
 * @param request `kept` members that report no host are exempt from a hard spread: they are in the cluster already,
 * and rejecting them would only block its repair.
 * @returns the unmet rules; empty when the set is a valid cluster.
 */
export const checkFormation = (members: readonly Placed[], request: RuleWithKept): Shortfall[] => {
  const { requiredCapabilities, roles, size, spread } = request;
  const distinct = [...new Map(members.map((member) => [member.id, member])).values()];
  const shortfall: Shortfall[] = [];
  const found = distinct.length;
  if (found < size.min || found > size.max) shortfall.push({ kind: 'size', min: size.min, max: size.max, found });
  for (const capability of new Set(requiredCapabilities)) {
    if (!distinct.some((member) => member.capabilities.includes(capability))) {
      shortfall.push({ kind: 'capability', capability, found: 0 });
    }
  }
  for (const { name, capability, min, max } of roles) {
    const holders = distinct.filter(
      (member) => member.roles.includes(name) && member.capabilities.includes(capability),
    ).length;
    if (holders < min || holders > max) {
      shortfall.push({ kind: 'role', role: name, capability, min, max, found: holders });
    }
  }
  if (spread?.mode === 'hard') {
    const broken = checkSpread(distinct, spread, new Set(request.kept?.map(({ id }) => id)));
    if (broken) shortfall.push(broken);
  }
  return shortfall;
};

const checkSpread = (members: readonly Placed[], spread: Spread, kept: ReadonlySet<string>): Shortfall | null => {
  const groups = new Map<string, number>();
  let unknown = 0;
  let excused = 0;
  for (const member of members) {
    const group = groupOf(member, spread);
    if (group !== null) groups.set(group, (groups.get(group) ?? 0) + 1);
    else if (kept.has(member.id)) excused += 1;
    else unknown += 1;
  }
  const needed = members.length;
  const placed = excused + placeable(groups.values(), needed);
  if (placed >= needed) return null;
  return {
    kind: 'spread',
    by: spread.by,
    needed,
    allowedPerGroup: allowedPerGroup(needed),
    placeable: placed,
    unknown,
  };
};

/** Whether a rule that is unmet after a change was unmet before, and by at least as much. */
export const isNoWorse = (after: Shortfall, before: readonly Shortfall[]): boolean =>
  before.some((known) => {
    switch (after.kind) {
      case 'capability':
        return known.kind === 'capability' && known.capability === after.capability;
      case 'role':
        return known.kind === 'role' && known.role === after.role && distance(after) <= distance(known);
      case 'size':
        return known.kind === 'size' && distance(after) <= distance(known);
      case 'spread':
        return known.kind === 'spread' && after.needed - after.placeable <= known.needed - known.placeable;
      case 'room':
        return known.kind === 'room';
      default:
        return after satisfies never;
    }
  });

/** How far a count is outside its bounds. */
const distance = ({ min, max, found }: { min: number; max: number; found: number }): number =>
  Math.max(min - found, found - max);
