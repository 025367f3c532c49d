import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Role, TokenView } from '../../contracts/tokens.js';
import { countChanged, queryRows, secondsFromNow } from '../expressions.js';
import { isoDates } from '../../contracts/view.js';
import type { ClustersDb } from './schema.js';

export interface Principal {
  readonly tokenId: string;
  readonly role: Role;
  /** Set for an agent's own token; null for an enrolment token, which may only register agents. */
  readonly agentId: string | null;
}

const viewedColumns = ['id', 'role', 'name', 'prefix', 'createdAt', 'expiresAt', 'revokedAt'] as const;

export const hashToken = (token: string): Buffer => createHash('sha256').update(token).digest();

/** 256 random bits, with a prefix by which logs can recognise and redact them. */
export const newToken = (): string => `cmt_${randomBytes(32).toString('base64url')}`;

/** Stores a token's hash. The token itself is never written. */
export async function insertToken(
  tx: ClustersDb,
  token: string,
  about: { role: Role; name: string; agentId?: string; expiresInSeconds?: number },
): Promise<TokenView> {
  const { role, name, agentId = null, expiresInSeconds } = about;
  const row = await tx
    .insertInto('tokens')
    .values({
      id: `tok_${randomBytes(9).toString('base64url')}`,
      role,
      name,
      agentId,
      hash: hashToken(token),
      prefix: token.slice(0, 8),
      expiresAt: expiresInSeconds === undefined ? null : secondsFromNow(expiresInSeconds),
    })
    .onConflict((conflict) => conflict.column('hash').doUpdateSet({ name }))
    .returning(viewedColumns)
    .executeTakeFirstOrThrow();
  return isoDates(row);
}

/**
 * Replaces an agent's token by a new one; the old ones stop working at once.
 * @returns the new token, shown this once, and the ids of those that it replaces.
 */
export async function replaceAgentToken(
  tx: ClustersDb,
  agentId: string,
): Promise<{ readonly token: string; readonly revoked: readonly string[] }> {
  const revoked = await revokeAgentTokens(tx, agentId);
  await sql`
    delete from tokens where agent_id = ${agentId} and revoked_at < now() - interval '1 day'`.execute(tx);
  const token = newToken();
  await insertToken(tx, token, { role: 'agent', name: agentId, agentId });
  return { token, revoked };
}

/** @returns the ids of the tokens that were valid. */
export async function revokeAgentTokens(tx: ClustersDb, agentId: string): Promise<readonly string[]> {
  const rows = await queryRows<{ id: string }>(tx)`
    update tokens set revoked_at = now() where agent_id = ${agentId} and revoked_at is null returning id`;
  return rows.map(({ id }) => id);
}

/**
 * The owner of each token, in order; undefined for one that is unknown, expired or revoked. Found by their hashes: no
 * secret is compared as text.
 */
export async function principalsOf(
  db: ClustersDb,
  tokens: readonly string[],
): Promise<readonly (Principal | undefined)[]> {
  const hashes = tokens.map((token) => hashToken(token).toString('hex'));
  const rows = await queryRows<Principal & { readonly hash: string }>(db)`
    select encode(hash, 'hex') as hash, id as token_id, role, agent_id from tokens
    where hash = any(array(select decode(h, 'hex') from unnest(${hashes}::text[]) h))
      and revoked_at is null and (expires_at is null or expires_at > now())`;
  const owners = new Map(rows.map(({ hash, ...principal }) => [hash, principal]));
  return hashes.map((hash) => owners.get(hash));
}

/** The most tokens that are listed; a cache drops everything when more have ended within a minute. */
const maxEnded = 10_000;

/**
 * The tokens that were revoked or expired within the last minute: caches of principals forget them. The whole minute is
 * read each time because revocations need not commit in the order of their times.
 * @returns their ids; undefined when there are too many to list.
 */
export async function recentlyEndedTokens(db: ClustersDb): Promise<readonly string[] | undefined> {
  const rows = await queryRows<{ id: string }>(db)`
    select id from tokens where revoked_at > now() - interval '1 minute'
    union all
    select id from tokens where expires_at between now() - interval '1 minute' and now()
    limit ${maxEnded}`;
  return rows.length === maxEnded ? undefined : rows.map(({ id }) => id);
}

export async function listTokens(db: ClustersDb): Promise<TokenView[]> {
  const tokens = db.selectFrom('tokens').select(viewedColumns).where('agentId', 'is', null).orderBy('createdAt');
  return (await tokens.execute()).map(isoDates);
}

/** @returns false when there is no such token, or it was revoked before. */
export const revokeToken = async (db: ClustersDb, id: string): Promise<boolean> =>
  (await countChanged(db)`update tokens set revoked_at = now() where id = ${id} and revoked_at is null`) === 1;
