import { sql, type RawBuilder } from 'kysely';
import type { FormationSpec } from '../../contracts/formation.js';
import { queryRows } from '../expressions.js';
import { plannedEachTime } from '../pipelined-pool.js';
import type { ClustersDb, Row } from './schema.js';

/** Fleets up to this size are read whole in one query; larger ones are counted, then sampled. */
const wholeFleet = 128;
const samplePerCapability = 64;
const enoughHolders = 16;
const sampleInAll = 256;
const samplePerPlace = 32;
const sampleAtLeast = 64;
const thoroughPerGroup = 8;
const thoroughInAll = 4000;

export type CandidateQuery = Pick<FormationSpec, 'requiredCapabilities' | 'roles' | 'labels' | 'resources'> & {
  /** Members of this cluster are not candidates for it again. */
  readonly clusterId: string;
  /** Decides where the sample starts on the ring of agents: different operations read different agents first. */
  readonly seed: string;
  /** How many agents are needed at most, if that is few: a smaller sample is then enough to choose from. */
  readonly places?: number;
};

const sampleSize = ({ places }: CandidateQuery): number =>
  places === undefined ? sampleInAll : Math.min(sampleInAll, Math.max(sampleAtLeast, samplePerPlace * places));

const candidateColumns = [
  'id',
  'host',
  'zone',
  'capabilities',
  'load',
  'resources',
  'held',
  'clusterCount',
  'maxClusters',
  'recentFlaps',
] as const;

export type CandidateRow = Pick<Row<'agents'>, (typeof candidateColumns)[number]>;

export interface Candidates {
  readonly eligible: readonly CandidateRow[];
  /** How many agents were not considered, by the first reason that applies. */
  readonly rejected: Readonly<Record<string, number>>;
  /** True when every eligible agent is in `eligible`. */
  readonly complete: boolean;
}

const columns = sql.join(candidateColumns.map((name) => sql.ref(`a.${name}`)));

const tokensOf = (query: Pick<CandidateQuery, 'requiredCapabilities' | 'roles'>): string[] => [
  ...new Set([...query.requiredCapabilities, ...query.roles.map((role) => role.capability)]),
];

/**
 * The reasons why an agent cannot be a member, in the order in which they are counted: the only definition of eligibility.
 * The first one uses an index, so that counting in a large fleet reads only the holders of a capability.
 */
function rejections(query: CandidateQuery): { readonly reason: string; readonly when: RawBuilder<boolean> }[] {
  const tokens = tokensOf(query);
  const reject = (reason: string, when: RawBuilder<boolean>, isAsked = true) => (isAsked ? [{ reason, when }] : []);
  return [
    ...reject('no_required_capability', sql`not a.capabilities && ${tokens}::text[]`, tokens.length > 0),
    ...reject('lease_expired', sql`a.lease_expires_at <= now()`),
    ...reject('not_ready', sql`a.readiness <> 'ready'`),
    ...reject('quarantined', sql`coalesce(a.quarantined_until > now(), false)`),
    ...reject(
      'labels_mismatch',
      sql`not a.labels @> ${JSON.stringify(query.labels)}::jsonb`,
      Object.keys(query.labels).length > 0,
    ),
    ...reject('no_capacity', sql`a.cluster_count >= a.max_clusters`),
    ...Object.entries(query.resources).flatMap(([name, amount]) =>
      reject(
        'insufficient_resources',
        sql`coalesce((a.resources -> ${name})::numeric, 0) - coalesce((a.held -> ${name})::numeric, 0) < ${amount}::numeric`,
      ),
    ),
    ...reject(
      'already_member',
      sql`exists (select 1 from memberships m where m.agent_id = a.id
        and m.cluster_id = ${query.clusterId} and m.state <> 'released')`,
      query.clusterId !== '',
    ),
  ];
}

/** The first reason that applies, or null. */
const rejection = (query: CandidateQuery): RawBuilder<string | null> =>
  sql<string | null>`(case ${sql.join(
    rejections(query).map(({ reason, when }) => sql`when ${when} then ${sql.lit(reason)}`),
    sql` `,
  )} end)`;

/** The same as a chain of conditions, whose selectivity PostgreSQL can estimate from its statistics. */
function eligible(query: CandidateQuery): RawBuilder<boolean> {
  const tokens = tokensOf(query);
  const conditions = rejections(query)
    .filter(({ reason }) => reason !== 'no_required_capability')
    .map(({ when }) => sql`not (${when})`);
  return sql<boolean>`a.left_at is null and ${sql.join(
    [...conditions, ...(tokens.length > 0 ? [sql`a.capabilities && ${tokens}::text[]`] : [])],
    sql` and `,
  )}`;
}

/**
 * Agents that could be members now, and how many others were rejected for each reason.
 * A small fleet is read whole. Of a large one a stable pseudo-random sample is read, with holders of each capability:
 * choosing the best of 256 random candidates is as good as choosing the best of all in practice.
 * @param of.counting false: the rejected agents of a large fleet are not counted, which would read all holders.
 * Source: Mitzenmacher, "The Power of Two Choices", 2001.
 */
export async function findCandidates(
  db: ClustersDb,
  query: CandidateQuery,
  { counting = true }: { readonly counting?: boolean } = {},
): Promise<Candidates> {
  const whole = await readWholeFleet(db, query);
  if (whole) return whole;
  const [rejected, sample] = await Promise.all([
    counting ? countRejections(db, query) : {},
    sampleCandidates(db, query),
  ]);
  return { eligible: sample, rejected, complete: sample.length < sampleSize(query) };
}

/** Reads a small fleet in one statement: eligible agents row by row, the others counted. Undefined for a large fleet. */
async function readWholeFleet(db: ClustersDb, query: CandidateQuery): Promise<Candidates | undefined> {
  const rows = await queryRows<CandidateRow & { reason: string | null; agents: number }>(db)`
    with judged as materialized (
      select ${columns}, ${rejection(query)} as reason from agents a
      where a.left_at is null and (select sum(agents) from fleet_counts) <= ${wholeFleet}
    )
    select *, 1 as agents from judged where reason is null
    union all
    select ${sql.raw(candidateColumns.map(() => 'null').join(', '))}, reason, count(*) from judged
    where reason is not null group by reason`;
  if (rows.length === 0) return undefined;
  const eligible = rows.flatMap(({ reason, agents: _agents, ...row }) => (reason === null ? [row] : []));
  const rejected = Object.fromEntries(
    rows.flatMap(({ reason, agents }) => (reason === null ? [] : [[reason, agents]])),
  );
  return { eligible, rejected, complete: true };
}

/** How many agents are rejected for each reason. */
export async function countRejections(db: ClustersDb, query: CandidateQuery): Promise<Record<string, number>> {
  const tokens = tokensOf(query);
  // Agents without any required capability are all agents less the holders, which an index finds: they are not read.
  const holders = tokens.length > 0 ? sql`and a.capabilities && ${tokens}::text[]` : sql``;
  const rows = await queryRows<{ reason: string | null; agents: number; fleet: number }>(db)`
    select ${rejection({ ...query, requiredCapabilities: [], roles: [] })} as reason, count(*) as agents,
      (select sum(agents) from fleet_counts) as fleet
    from agents a where a.left_at is null ${holders} group by 1
    union all select 'fleet', 0, (select sum(agents) from fleet_counts)`;
  const rejected: Record<string, number> = {};
  let counted = 0;
  for (const { reason, agents } of rows) {
    if (reason !== null && agents > 0) rejected[reason] = agents;
    counted += agents;
  }
  const others = (rows[0]?.fleet ?? 0) - counted;
  if (others > 0) rejected['no_required_capability'] = others;
  return rejected;
}

/**
 * Reads the ring of agents from the operation's place on. A capability of which the sample has few holders is rare enough
 * to be read by its own index.
 */
async function sampleCandidates(db: ClustersDb, query: CandidateQuery): Promise<CandidateRow[]> {
  const start = sql`(hashtext(${query.seed}) & 2147483647)`;
  const walk = (part: RawBuilder<unknown>, limit: number): Promise<CandidateRow[]> =>
    queryRows<CandidateRow>(db)`
      ${plannedEachTime} select ${columns} from agents a where ${eligible(query)} and ${part}
      order by a.match_order limit ${limit}`;
  const size = sampleSize(query);
  const sample = await walk(sql`a.match_order >= ${start}`, size);
  if (sample.length < size) {
    sample.push(...(await walk(sql`a.match_order < ${start}`, size - sample.length)));
  }
  const byId = new Map(sample.map((row) => [row.id, row]));
  for (const token of tokensOf(query)) {
    if (sample.filter((row) => row.capabilities.includes(token)).length >= enoughHolders) continue;
    for (const row of await walk(sql`a.capabilities @> ${[token]}::text[]`, samplePerCapability)) byId.set(row.id, row);
  }
  return [...byId.values()];
}

/**
 * A wider search for a request that the sample could not satisfy: for each host (or zone) the first few holders of
 * each set of capabilities, up to 4,000 agents. Expensive: it reads all agents.
 */
export const findMoreCandidates = (
  db: ClustersDb,
  query: CandidateQuery,
  by: 'host' | 'zone',
): Promise<readonly CandidateRow[]> => queryRows<CandidateRow>(db)`
  select * from (
    select ${columns}, row_number() over (
      partition by ${sql.ref(`a.${by}`)}, a.capabilities order by a.cluster_count, a.match_order) as place
    from agents a where ${eligible(query)}
  ) ranked where place <= ${thoroughPerGroup} order by place limit ${thoroughInAll}`;

/**
 * Locks agents until the end of the transaction and returns those that are still eligible, in id order.
 * @param how.wait false: skip agents that another transaction has locked, which cannot deadlock.
 */
export async function lockCandidates(
  tx: ClustersDb,
  query: CandidateQuery,
  ids: readonly string[],
  { wait }: { wait: boolean },
): Promise<CandidateRow[]> {
  const rows = await queryRows<CandidateRow & { reason: string | null }>(tx)`
    select ${columns}, ${rejection(query)} as reason from agents a
    where a.id = any(${ids}::text[]) and a.left_at is null order by a.id
    for no key update of a ${wait ? sql`` : sql`skip locked`}`;
  return rows.filter((row) => row.reason === null).map(({ reason: _reason, ...row }) => row);
}

/** Lets formations that keep meeting locked agents decide one after another, each until the end of its transaction. */
export async function takeTurn(tx: ClustersDb): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('cluster-manager formation turn'))`.execute(tx);
}
