import type { Allocation, Share } from '../../domain/scaling/claims.js';
import { allocate, defaultHeadroom } from '../../domain/scaling/drf.js';
import { agentsResource, claimantsOf, fleetStock, type FleetStock } from '../../stores/clusters/index.js';
import { openClaims, type OpenClaim } from '../../stores/resources/index.js';
import type { ScalingDeps } from '../deps.js';

/** The cluster's share among all clusters that want to grow, and Jain's index over all claims. */
export interface FairShare
  extends Pick<Share, 'answer' | 'dominantShare' | 'dominantResource'>, Pick<Allocation, 'jain'> {
  readonly claims: number;
  /** Dominant shares of the claims, the largest first; at most a hundred. */
  readonly shares: readonly { readonly clusterId: string; readonly dominantShare: number }[];
}

export interface Entitlement {
  /** Members in total that the cluster may have now. */
  readonly units: number;
  readonly report: FairShare;
}

interface Wanted {
  readonly desired: number;
  /** Whether this size was requested explicitly; it may then use the headroom. */
  readonly isRequested: boolean;
}

const maxClaims = 10_000;
const maxShares = 100;
const stockCacheMs = 1_000;

type Deps = Pick<ScalingDeps, 'clusters' | 'resources' | 'fleetStockCache'>;

/**
 * Weighted dominant resource fairness over all clusters that want to grow by agents of the same kind. The fleet's stock
 * is cached for a second; a cluster that would get less than it wants reads it again.
 * @returns null when no other cluster has a claim and no headroom applies.
 */
export async function fairShare(
  deps: Deps,
  clusterId: string,
  { desired, isRequested }: Wanted,
): Promise<Entitlement | null> {
  const all = await openClaims(deps.resources, { limit: maxClaims });
  if (isRequested && all.every((claim) => claim.clusterId === clusterId)) return null;
  const ids = all.map((claim) => claim.clusterId);
  const claimants = await claimantsOf(deps.clusters, ids);
  const own = claimants.get(clusterId);
  if (!own) return null;
  const needs = own.requiredCapabilities;
  const claims = all.flatMap((claim) => {
    const claimant = claimants.get(claim.clusterId);
    const theirs = claimant?.requiredCapabilities;
    const isOfItsKind =
      theirs && (theirs.length === 0 || needs.length === 0 || theirs.some((one) => needs.includes(one)));
    const wanted = claim.clusterId === clusterId ? desired : claim.desired;
    return claimant && isOfItsKind ? [{ ...claim, wanted, size: claimant.size }] : [];
  });
  const names = [...new Set(claims.flatMap(({ perMember }) => Object.keys(perMember)))].sort();
  // Agents without the required capabilities count neither as capacity nor as headroom.
  const of = { names, capabilities: [...needs].sort() };
  const found = stockOf(deps, of);
  const entitled = shareOut(claims, clusterId, { stock: await found.stock, isRequested });
  if (found.isFresh || entitled?.report.answer.kind === 'granted') return entitled;
  return shareOut(claims, clusterId, { stock: await fleetStock(deps.clusters, of), isRequested });
}

function stockOf(
  { clusters, fleetStockCache: cache }: Deps,
  of: { readonly names: readonly string[]; readonly capabilities: readonly string[] },
) {
  const key = JSON.stringify(of);
  for (const [name, { atMs }] of cache) if (Date.now() - atMs >= stockCacheMs) cache.delete(name);
  const known = cache.get(key);
  if (known) return { ...known, isFresh: false };
  const stock = fleetStock(clusters, of);
  stock.catch(() => cache.delete(key));
  cache.set(key, { atMs: Date.now(), stock });
  return { stock, isFresh: true };
}

interface Claim extends OpenClaim {
  /** Members wanted in total. */
  readonly wanted: number;
  /** Members it has. */
  readonly size: number;
}

function shareOut(
  claims: readonly Claim[],
  clusterId: string,
  { stock, isRequested }: { readonly stock: FleetStock; readonly isRequested: boolean },
): Entitlement | null {
  const heldBy = (name: string, { perMember, size }: Claim): number =>
    size * (name === agentsResource ? 1 : Object.hasOwn(perMember, name) ? (perMember[name] ?? 0) : 0);
  const taken = Object.fromEntries(
    Object.entries(stock.held).map(([name, held]) => [
      name,
      // Amounts held by the claimants are part of their shares.
      Math.max(
        0,
        claims.reduce((left, claim) => left - heldBy(name, claim), held),
      ),
    ]),
  );
  const agents = stock.capacity[agentsResource] ?? 0;
  const { shares, jain } = allocate({
    capacity: stock.capacity,
    taken,
    // Agents are whole units, so the headroom is rounded down: a small fleet has none.
    headroom: isRequested ? 0 : { [agentsResource]: agents > 0 ? Math.floor(agents * defaultHeadroom) / agents : 0 },
    claims: claims.map((claim) => ({
      id: claim.clusterId,
      weight: claim.weight,
      perUnit: { ...claim.perMember, [agentsResource]: 1 },
      wanted: claim.wanted,
      held: claim.size,
      quota: claim.quota,
      waitingSinceMs: claim.since.getTime(),
    })),
  });
  const share = shares.find(({ id }) => id === clusterId);
  if (!share) return null;
  const { answer, dominantShare, dominantResource, units } = share;
  const largest = shares
    .map(({ id, dominantShare: theirs }) => ({ clusterId: id, dominantShare: theirs }))
    .sort((a, b) => b.dominantShare - a.dominantShare)
    .slice(0, maxShares);
  return { units, report: { answer, dominantShare, dominantResource, jain, claims: claims.length, shares: largest } };
}
