import { byText } from '../order.js';

/** Up to this size the cluster is a full mesh. */
const fullMeshUpTo = 5;
/** In larger clusters each member is linked with this many successors on the ring. */
const ringNeighbours = 3;

/**
 * Plans the links of a cluster: a full mesh up to 5 members, else a ring in which each member is also linked with its
 * second and third successor, so that the cluster stays connected when any five members are lost.
 * @param memberIds in any order; duplicates count once.
 * @returns undirected pairs, the smaller id first, sorted: the same members always give the same links.
 * Source: the circulant graph C_n(1, 2, 3), a Harary graph, is 6-connected.
 */
export const planLinks = (memberIds: readonly string[]): [string, string][] => {
  const ring = [...new Set(memberIds)].sort(byText);
  const reach = ring.length <= fullMeshUpTo ? ring.length - 1 : ringNeighbours;
  const links = new Map<string, [string, string]>();
  for (const [index, from] of ring.entries()) {
    for (let step = 1; step <= reach; step += 1) {
      const to = ring[(index + step) % ring.length];
      if (to === undefined || to === from) continue;
      const pair: [string, string] = from < to ? [from, to] : [to, from];
      links.set(pair.join('\u0000'), pair);
    }
  }
  return [...links.values()].sort(([a, b], [c, d]) => byText(a, c) || byText(b, d));
};
