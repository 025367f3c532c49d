import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Role, TokenView } from '../../contracts/tokens.js';
import { secondsFromNow } from '../expressions.js';
import type { ClustersDb, Row } from './schema.js';

export interface Principal {
  readonly tokenId: string;
  readonly role: Role;
  /** Set for an agent's own token; null for an enrolment token, which may only register agents. */
  readonly agentId: string | null;
}

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
    .returning(columns)
    .executeTakeFirstOrThrow();
  return toTokenView(row);
}

/** Replaces an agent's token by a new one; the old ones stop working at once. @returns the new token, shown this once. */
export async function replaceAgentToken(tx: ClustersDb, agentId: string): Promise<string> {
  await revokeAgentTokens(tx, agentId);
  await tx
    .deleteFrom('tokens')
    .where('agentId', '=', agentId)
    .where('revokedAt', '<', sql<Date>`now() - interval '1 day'`)
    .execute();
  const token = newToken();
  await insertToken(tx, token, { role: 'agent', name: agentId, agentId });
  return token;
}

export async function revokeAgentTokens(tx: ClustersDb, agentId: string): Promise<void> {
  await tx
    .updateTable('tokens')
    .set({ revokedAt: sql`now()` })
    .where('agentId', '=', agentId)
    .where('revokedAt', 'is', null)
    .execute();
}

/** The owner of a token, or undefined when it is unknown, expired or revoked. Found by its hash: no secret is compared as text. */
export const principalOf = (db: ClustersDb, token: string): Promise<Principal | undefined> =>
  db
    .selectFrom('tokens')
    .select(['id as tokenId', 'role', 'agentId'])
    .where('hash', '=', hashToken(token))
    .where('revokedAt', 'is', null)
    .where((either) => either.or([either('expiresAt', 'is', null), either('expiresAt', '>', sql<Date>`now()`)]))
    .executeTakeFirst();

/**
 * Changes with each revocation and expiry: caches of principals are dropped when it does. Read from two small indexes;
 * the last minute is counted because revocations need not commit in the order of their times.
 */
export async function revocationMark(db: ClustersDb): Promise<string> {
  const { rows } = await sql<{ mark: string }>`
    select coalesce((select max(revoked_at) from tokens where revoked_at is not null)::text, '')
      || '/' || (select count(*) from tokens where revoked_at > now() - interval '1 minute')
      || '/' || (select count(*) from tokens where expires_at between now() - interval '1 minute' and now()) as mark
  `.execute(db);
  return rows[0]?.mark ?? '';
}

export async function listTokens(db: ClustersDb): Promise<TokenView[]> {
  const rows = await db
    .selectFrom('tokens')
    .select(columns)
    .where('agentId', 'is', null)
    .orderBy('createdAt')
    .execute();
  return rows.map(toTokenView);
}

/** @returns false when there is no such token, or it was revoked before. */
export async function revokeToken(db: ClustersDb, id: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('tokens')
    .set({ revokedAt: sql`now()` })
    .where('id', '=', id)
    .where('revokedAt', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

const columns = ['id', 'role', 'name', 'prefix', 'createdAt', 'expiresAt', 'revokedAt'] as const;

const toTokenView = (row: Row<'tokens', typeof columns>): TokenView => ({
  ...row,
  createdAt: row.createdAt.toISOString(),
  expiresAt: row.expiresAt?.toISOString() ?? null,
  revokedAt: row.revokedAt?.toISOString() ?? null,
});
