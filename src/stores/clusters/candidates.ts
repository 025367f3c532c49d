import { sql, type RawBuilder } from 'kysely';
import type { FormationSpec } from '../../contracts/formation.js';
import type { ClustersDb } from './schema.js';

/** Fleets up to this size are read whole in one query; larger ones are counted, then sampled. */
const wholeFleet = 128;
const samplePerCapability = 64;
const sampleInAll = 256;
const thoroughPerGroup = 8;
const thoroughInAll = 4000;

export type CandidateQuery = Pick<FormationSpec, 'requiredCapabilities' | 'roles' | 'labels' | 'resources'> & {
  /** Members of this cluster are not candidates for it again. */
  readonly clusterId: string;
  /** Where the sample begins on the ring of agents: different operations look at different agents first. */
  readonly seed: string;
};

export interface CandidateRow {
  readonly id: string;
  readonly host: string | null;
  readonly zone: string | null;
  readonly capabilities: readonly string[];
  readonly load: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly held: Readonly<Record<string, number>>;
  readonly clusterCount: number;
  readonly maxClusters: number;
  readonly recentFlaps: number;
}

export interface Candidates {
  readonly eligible: readonly CandidateRow[];
  /** Why the others were not considered: agents by the first reason that holds. */
  readonly rejected: Readonly<Record<string, number>>;
  /** True when every eligible agent is in `eligible`. */
  readonly complete: boolean;
}

const columns = sql`
  a.id, a.host, a.zone, a.capabilities, a.load, a.resources, a.held, a.cluster_count as "clusterCount",
  a.max_clusters as "maxClusters", a.recent_flaps as "recentFlaps"`;

const tokensOf = (query: Pick<CandidateQuery, 'requiredCapabilities' | 'roles'>): string[] => [
  ...new Set([...query.requiredCapabilities, ...query.roles.map((role) => role.capability)]),
];

/** The first reason why an agent cannot be a member, or null: the one place where eligibility is written. */
function rejection(query: CandidateQuery): RawBuilder<string | null> {
  const tokens = tokensOf(query);
  const reasons = [
    sql`when a.lease_expires_at <= now() then 'lease_expired'`,
    sql`when a.readiness <> 'ready' then 'not_ready'`,
    sql`when a.quarantined_until > now() then 'quarantined'`,
    ...(tokens.length > 0 ? [sql`when not a.capabilities && ${tokens}::text[] then 'no_required_capability'`] : []),
    ...(Object.keys(query.labels).length > 0
      ? [sql`when not a.labels @> ${JSON.stringify(query.labels)}::jsonb then 'labels_mismatch'`]
      : []),
    sql`when a.cluster_count >= a.max_clusters then 'no_capacity'`,
    ...Object.entries(query.resources).map(
      ([name, amount]) => sql`when coalesce((a.resources ->> ${name})::numeric, 0)
        - coalesce((a.held ->> ${name})::numeric, 0) < ${amount}::numeric then 'insufficient_resources'`,
    ),
    ...(query.clusterId
      ? [
          sql`when exists (select 1 from memberships m where m.agent_id = a.id and m.cluster_id = ${query.clusterId}
            and m.state <> 'released') then 'already_member'`,
        ]
      : []),
  ];
  return sql<string | null>`(case ${sql.join(reasons, sql` `)} end)`;
}

/**
 * Agents that could be members now, and how many were passed over for each reason.
 * A small fleet is read whole. Of a large one a stable pseudo-random sample is read, with at least 64 holders of each
 * capability where there are that many: choosing the best of 256 random candidates is as good as choosing the best of
 * all in practice, and the time does not grow with the fleet (Mitzenmacher, "The Power of Two Choices", 2001).
 */
export async function findCandidates(db: ClustersDb, query: CandidateQuery): Promise<Candidates> {
  const { rows } = await sql<CandidateRow & { reason: string | null }>`
    select ${columns}, ${rejection(query)} as reason from agents a
    where a.left_at is null limit ${wholeFleet + 1}`.execute(db);
  if (rows.length <= wholeFleet) {
    const eligible = rows.filter((row) => row.reason === null).map(({ reason: _reason, ...row }) => row);
    return { eligible, rejected: countBy(rows.flatMap((row) => row.reason ?? [])), complete: true };
  }
  const { rejected, eligible } = await countRejections(db, query);
  const sample = await sampleCandidates(db, query);
  return { eligible: sample, rejected, complete: sample.length >= eligible };
}

async function countRejections(db: ClustersDb, query: CandidateQuery) {
  const { rows } = await sql<{ reason: string | null; agents: number }>`
    select ${rejection(query)} as reason, count(*) as agents from agents a where a.left_at is null group by 1`.execute(
    db,
  );
  const rejected: Record<string, number> = {};
  let eligible = 0;
  for (const { reason, agents } of rows) {
    if (reason === null) eligible = agents;
    else rejected[reason] = agents;
  }
  return { rejected, eligible };
}

async function sampleCandidates(db: ClustersDb, query: CandidateQuery): Promise<CandidateRow[]> {
  const tokens = tokensOf(query);
  const eligible = sql`a.left_at is null and ${rejection(query)} is null`;
  const start = sql`(hashtext(${query.seed}) & 2147483647)`;
  const walk = (filter: RawBuilder<unknown>, limit: number) => [
    sql`(select ${columns}, a.match_order from agents a where ${eligible} and ${filter} and a.match_order >= ${start}
      order by a.match_order limit ${limit})`,
    sql`(select ${columns}, a.match_order from agents a where ${eligible} and ${filter} and a.match_order < ${start}
      order by a.match_order limit ${limit})`,
  ];
  const branches = [
    ...walk(sql`true`, sampleInAll),
    ...(tokens.length > 1
      ? tokens.flatMap((token) => walk(sql`a.capabilities @> ${[token]}::text[]`, samplePerCapability))
      : []),
  ];
  const { rows } = await sql<CandidateRow>`
    select distinct on (id) * from (${sql.join(branches, sql` union all `)}) sampled order by id`.execute(db);
  return rows;
}

/**
 * A wider look for a request that the sample could not satisfy: for each host (or zone) the first few holders of
 * each set of capabilities, up to 4,000 agents. Used only then, since it reads the whole fleet.
 */
export async function findMoreCandidates(
  db: ClustersDb,
  query: CandidateQuery,
  by: 'host' | 'zone',
): Promise<readonly CandidateRow[]> {
  const group = by === 'host' ? sql`a.host` : sql`a.zone`;
  const { rows } = await sql<CandidateRow>`
    select * from (
      select ${columns}, row_number() over (partition by ${group}, a.capabilities order by a.cluster_count, a.match_order) as place
      from agents a where a.left_at is null and ${rejection(query)} is null
    ) ranked where place <= ${thoroughPerGroup} order by place limit ${thoroughInAll}`.execute(db);
  return rows;
}

/**
 * Locks agents until the end of the transaction and gives back those that are still eligible, in id order.
 * @param wait false: skip agents that another formation is deciding about this moment, which cannot deadlock.
 */
export async function lockCandidates(
  tx: ClustersDb,
  query: CandidateQuery,
  ids: readonly string[],
  { wait }: { wait: boolean },
): Promise<CandidateRow[]> {
  const { rows } = await sql<CandidateRow & { reason: string | null }>`
    select ${columns}, ${rejection(query)} as reason from agents a
    where a.id = any(${ids}::text[]) and a.left_at is null order by a.id
    for no key update of a ${wait ? sql`` : sql`skip locked`}`.execute(tx);
  return rows.filter((row) => row.reason === null).map(({ reason: _reason, ...row }) => row);
}

/** Formations that met others at every turn decide one after another, until the end of their transaction. */
export async function takeTurn(tx: ClustersDb): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('cluster-manager formation turn'))`.execute(tx);
}

const countBy = (words: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
};
