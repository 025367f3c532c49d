import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Role, TokenView } from '../../contracts/tokens.js';
import { countChanged, queryRow, queryValue, secondsFromNow } from '../expressions.js';
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

/** Replaces an agent's token by a new one; the old ones stop working at once. @returns the new token, shown this once. */
export async function replaceAgentToken(tx: ClustersDb, agentId: string): Promise<string> {
  await revokeAgentTokens(tx, agentId);
  await sql`
    delete from tokens where agent_id = ${agentId} and revoked_at < now() - interval '1 day'`.execute(tx);
  const token = newToken();
  await insertToken(tx, token, { role: 'agent', name: agentId, agentId });
  return token;
}

export async function revokeAgentTokens(tx: ClustersDb, agentId: string): Promise<void> {
  await sql`update tokens set revoked_at = now() where agent_id = ${agentId} and revoked_at is null`.execute(tx);
}

/** The owner of a token, or undefined when it is unknown, expired or revoked. Found by its hash: no secret is compared as text. */
export const principalOf = (db: ClustersDb, token: string): Promise<Principal | undefined> => queryRow<Principal>(db)`
  select id as token_id, role, agent_id from tokens
  where hash = ${hashToken(token)} and revoked_at is null and (expires_at is null or expires_at > now())`;

/**
 * Changes with each revocation and expiry: caches of principals are dropped when it does. Read from two small indexes;
 * the last minute is counted because revocations need not commit in the order of their times.
 */
export const revocationMark = async (db: ClustersDb): Promise<string> =>
  (await queryValue<string>(db)`
    select coalesce((select max(revoked_at) from tokens where revoked_at is not null)::text, '')
      || '/' || (select count(*) from tokens where revoked_at > now() - interval '1 minute')
      || '/' || (select count(*) from tokens where expires_at between now() - interval '1 minute' and now())`) ?? '';

export async function listTokens(db: ClustersDb): Promise<TokenView[]> {
  const tokens = db.selectFrom('tokens').select(viewedColumns).where('agentId', 'is', null).orderBy('createdAt');
  return (await tokens.execute()).map(isoDates);
}

/** @returns false when there is no such token, or it was revoked before. */
export const revokeToken = async (db: ClustersDb, id: string): Promise<boolean> =>
  (await countChanged(db)`update tokens set revoked_at = now() where id = ${id} and revoked_at is null`) === 1;
