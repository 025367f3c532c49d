/**
 * The assignment of members to roles while role minimums are being filled. Roles are indexes into the request's roles.
 * A member has at most one role. Adding a member may reassign others (an augmenting path), so that the order of choice
 * never leaves a role unfilled that some assignment could fill.
 */
export interface Seating {
  /** Seats still empty in each role. */
  readonly free: number[];
  readonly seated: { readonly member: number; readonly capable: readonly number[]; role: number }[];
}

export const emptySeating = (needs: readonly number[]): Seating => ({ free: [...needs], seated: [] });

export const emptySeats = (seating: Seating): number => seating.free.reduce((sum, count) => sum + count, 0);

/**
 * The roles through which one more member would fill a vacancy: roles with a vacancy, and roles whose holder could move
 * to such a role. A new member helps exactly when it can hold one of them.
 * @returns a flag for each role.
 */
export const openRoles = (seating: Seating): boolean[] => {
  const open = seating.free.map((count) => count > 0);
  for (let grew = open.includes(true); grew;) {
    grew = false;
    for (const { role, capable } of seating.seated) {
      if (!open[role] && capable.some((other) => open[other])) {
        open[role] = true;
        grew = true;
      }
    }
  }
  return open;
};

/**
 * Assigns a new member to a role, reassigning others where needed. Mutates `seating`.
 * @returns false when the member fills no vacancy; it then holds no role.
 * Source: augmenting paths of bipartite matching (Berge; Kuhn's algorithm).
 */
export const seat = (seating: Seating, member: number, capable: readonly number[]): boolean => {
  const visited = new Set<number>();
  const find = (roles: readonly number[]): number | null => {
    for (const role of roles) {
      if (visited.has(role)) continue;
      visited.add(role);
      if ((seating.free[role] ?? 0) > 0) {
        seating.free[role] = (seating.free[role] ?? 0) - 1;
        return role;
      }
      for (const occupant of seating.seated) {
        if (occupant.role !== role) continue;
        const moved = find(occupant.capable);
        if (moved !== null) {
          occupant.role = moved;
          return role;
        }
      }
    }
    return null;
  };
  const role = find(capable);
  if (role === null) return false;
  seating.seated.push({ member, capable, role });
  return true;
};
