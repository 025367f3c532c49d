import { shareWithin } from '../../domain/communication/latency.js';
import { usageRatio } from '../../domain/scaling/ewma.js';
import { fourDecimals } from '../../domain/scaling/four-decimals.js';
import { defaultScalingRules, rulesForUsage, type ScalingRules } from '../../domain/scaling/rules.js';
import type { ClusterFacts, ScalingMember, Work } from '../../domain/scaling/types.js';
import { stabilityScore, type StabilityFacts } from '../../domain/stability/score.js';
import {
  concurrencyResource,
  scalingMembers,
  unplannedLosses,
  type ClusterRow,
  type ScalingMemberRow,
} from '../../stores/clusters/index.js';
import { inboxStatistics } from '../../stores/communication/index.js';
import {
  saveScores,
  scalingMemories,
  usageOf,
  type ScalingMemory,
  type UsageReading,
} from '../../stores/resources/index.js';
import type { ScalingDeps, ActivitySettings } from '../deps.js';

/** The rules that this manager's settings make of the defaults. */
export const rulesOf = ({ resourceUsageRatio, stabilityScore: passScore, scaling }: ActivitySettings): ScalingRules =>
  rulesForUsage(resourceUsageRatio, { ...defaultScalingRules, ...scaling, passScore });

/** The facts of a cluster that decisions and scores are based on, read from the three databases. */
interface ClusterSnapshot {
  readonly facts: ClusterFacts;
  readonly stability: StabilityFacts;
}

/** An explicitly requested size, and which agents leave for it. */
interface RequestedSize {
  readonly desired: number;
  readonly release?: readonly string[] | undefined;
}

/** The time window of a stability score. */
const scoreWindowSeconds = 600;

/**
 * Reads the snapshots of clusters with a few queries for all of them together.
 * @param asked explicitly requested sizes by cluster.
 */
export async function readClusterSnapshots(
  deps: ScalingDeps,
  rows: readonly ClusterRow[],
  { rules, asked = new Map() }: { readonly rules: ScalingRules; readonly asked?: ReadonlyMap<string, RequestedSize> },
): Promise<ReadonlyMap<string, ClusterSnapshot>> {
  const ids = rows.map(({ id }) => id);
  const nowMs = Date.now();
  const [{ members, statistics, stability }, histories] = await Promise.all([
    readStability(deps, rows),
    scalingMemories(deps.resources, ids, {
      nowMs,
      windowSeconds: rules.windowSeconds,
      changesSeconds: rules.budgetSeconds + rules.reversalSeconds,
      gapSeconds: rules.windowSeconds,
    }),
  ]);
  const agentIds = new Set([...members.values()].flatMap((own) => own.map(({ agentId }) => agentId)));
  const readings = groupBy(await usageOf(deps.resources, [...agentIds]), ({ agentId }) => agentId);
  return new Map(
    rows.map((cluster) => {
      const facts = factsOf(cluster, members.get(cluster.id) ?? [], {
        nowMs,
        readings,
        asked: asked.get(cluster.id),
        history: histories.get(cluster.id) ?? noHistory,
        ackedPerSecond: statistics.get(cluster.id)?.ackedPerSecond ?? null,
      });
      return [cluster.id, { facts, stability: stability(cluster) }];
    }),
  );
}

/** Reads the facts of stability scores, and the active members by cluster. */
async function readStability({ clusters, communication, settings }: ScalingDeps, rows: readonly ClusterRow[]) {
  const ids = rows.map(({ id }) => id);
  const [all, losses, statistics] = await Promise.all([
    scalingMembers(clusters, ids),
    unplannedLosses(clusters, ids, scoreWindowSeconds),
    inboxStatistics(communication, ids, scoreWindowSeconds),
  ]);
  const members = groupBy(all, ({ clusterId }) => clusterId);
  const stability = (cluster: ClusterRow): StabilityFacts => {
    const own = members.get(cluster.id) ?? [];
    const lost = (losses.get(cluster.id) ?? 0) + own.filter(({ alive }) => !alive).length;
    const { firstDeliveries = [], sent = 0, dead = 0, redelivered = 0 } = statistics.get(cluster.id) ?? {};
    const count = firstDeliveries.reduce((sum, each) => sum + each, 0);
    const share = shareWithin(firstDeliveries, settings.communicationLatencyMs) ?? 0;
    return {
      members: own.length,
      ready: own.filter(({ ready }) => ready).length,
      desired: cluster.spec.size.desired,
      min: cluster.spec.size.min,
      unplannedLosses: lost,
      flaps: own.reduce((sum, { recentFlaps }) => sum + recentFlaps, 0),
      handOvers: { count, within: Math.round(count * share) },
      mail: { sent, dead, redelivered },
      loads: own.flatMap(({ reportsLoad, load }) => (reportsLoad ? [load] : [])),
    };
  };
  return { members, statistics, stability };
}

/** Computes and stores the current stability score of a cluster. @returns null when it is unknown. */
export async function takeScore(deps: ScalingDeps, cluster: ClusterRow): Promise<number | null> {
  const atMs = Date.now();
  const { stability } = await readStability(deps, [cluster]);
  const score = stabilityScore(stability(cluster));
  await saveScores(deps.resources, [{ clusterId: cluster.id, atMs, ...score }]);
  return score.score;
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): ReadonlyMap<string, readonly Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

const noHistory: ScalingMemory = { recommendations: [], watchedSinceMs: null, changes: [], blocks: [], wanted: null };

interface FactSources extends Pick<ClusterFacts, 'nowMs'> {
  readonly readings: ReadonlyMap<string, readonly UsageReading[]>;
  readonly asked: RequestedSize | undefined;
  readonly history: ScalingMemory;
  readonly ackedPerSecond: number | null;
}

function factsOf(
  cluster: ClusterRow,
  members: readonly ScalingMemberRow[],
  { nowMs, readings, asked, history, ackedPerSecond }: FactSources,
): ClusterFacts {
  const { wanted, watchedSinceMs, ...remembered } = history;
  const { requiredCapabilities, roles, size, spread } = cluster.spec;
  return {
    nowMs,
    rule: { requiredCapabilities, roles, size, spread },
    members: members.map((member) => memberOf(member, readings.get(member.agentId) ?? [])),
    work: workOf(members, ackedPerSecond),
    waitedFor: Math.max(0, (wanted ?? 0) - members.length),
    asked: asked?.desired ?? null,
    release: asked?.release ?? null,
    watchedSinceMs: watchedSinceMs ?? nowMs,
    ...remembered,
    unreplaced: Math.max(0, size.desired - members.filter(({ alive }) => alive).length),
  };
}

function memberOf(member: ScalingMemberRow, readings: readonly UsageReading[]): ScalingMember {
  const offers: Readonly<Record<string, number>> = {
    ...member.offers,
    ...(member.reportsLoad ? { [concurrencyResource]: member.concurrency } : {}),
  };
  const usage = readings.flatMap(({ resource, value, previous, atMs }) => {
    const offered = Object.hasOwn(offers, resource) ? offers[resource] : undefined;
    const ratio = usageRatio(value, offered ?? 0);
    if (ratio === null) return [];
    return [
      [resource, { value: ratio, previous: previous === null ? null : usageRatio(previous, offered ?? 0), atMs }],
    ];
  });
  return {
    id: member.agentId,
    host: member.host,
    zone: member.zone,
    capabilities: member.capabilities,
    roles: member.roles,
    ready: member.ready,
    joinedAtMs: member.joinedAt.getTime(),
    offers,
    usage: Object.fromEntries(usage),
  };
}

/**
 * The work of a cluster; null when no member reports waiting work, since usage covers the rest. A task is a delivery: the
 * rate of a slot is the recent rate of acks over the busy slots.
 */
function workOf(members: readonly ScalingMemberRow[], ackedPerSecond: number | null): Work | null {
  const reporting = members.filter(({ reportsLoad }) => reportsLoad);
  const backlog = members.reduce((sum, { inboxDepth }) => sum + inboxDepth, 0);
  if (reporting.length === 0 || backlog === 0) return null;
  const inFlight = Math.round(reporting.reduce((sum, member) => sum + member.load * member.concurrency, 0));
  const slots = reporting.reduce((sum, member) => sum + member.concurrency, 0);
  return {
    inFlight,
    backlog,
    tasksPerSlotSecond: ackedPerSecond === null || inFlight === 0 ? null : fourDecimals(ackedPerSecond / inFlight),
    slotsPerMember: Math.max(1, Math.round(slots / reporting.length)),
  };
}
