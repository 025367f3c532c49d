import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Role, TokenView } from '../../contracts/tokens.js';
import type { ClustersDb } from './schema.js';

export interface Principal {
  readonly tokenId: string;
  readonly role: Role;
  /** Set for an agent's own token; null for an enrolment token, which may only register agents. */
  readonly agentId: string | null;
}

export const hashToken = (token: string): Buffer => createHash('sha256').update(token).digest();

/** 256 random bits, told from other secrets by their prefix, so that logs can redact them. */
export const newToken = (): string => `cmt_${randomBytes(32).toString('base64url')}`;

/** Stores a token's hash. The token itself is never written. */
export async function insertToken(
  tx: ClustersDb,
  token: string,
  about: { role: Role; name: string; agentId?: string; expiresInSeconds?: number },
): Promise<TokenView> {
  const { rows } = await sql<TokenRow>`
    insert into tokens as t (id, role, name, agent_id, hash, prefix, expires_at)
    values (${`tok_${randomBytes(9).toString('base64url')}`}, ${about.role}, ${about.name}, ${about.agentId ?? null},
      ${hashToken(token)}, ${token.slice(0, 8)},
      now() + make_interval(secs => ${about.expiresInSeconds ?? null}::double precision))
    on conflict (hash) do update set name = excluded.name
    returning ${tokenColumns}`.execute(tx);
  const row = rows[0];
  if (!row) throw new Error('The token was not written');
  return toTokenView(row);
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

/** Who a token belongs to, or undefined when it is unknown, expired or revoked. Looked up by hash, so no string of a secret is compared. */
export async function principalOf(db: ClustersDb, token: string): Promise<Principal | undefined> {
  const { rows } = await sql<Principal>`
    select id as "tokenId", role, agent_id as "agentId" from tokens
    where hash = ${hashToken(token)} and revoked_at is null and (expires_at is null or expires_at > now())`.execute(db);
  return rows[0];
}

/**
 * Changes with each revocation and expiry: who caches principals drops them when it moves. Read from two small
 * indexes; the last minute is counted because revocations need not commit in the order of their times.
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
  const { rows } = await sql<TokenRow>`
    select ${tokenColumns} from tokens t where t.agent_id is null order by t.created_at`.execute(db);
  return rows.map(toTokenView);
}

/** @returns false when there is no such token, or it was revoked before. */
export async function revokeToken(db: ClustersDb, id: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update tokens set revoked_at = now() where id = ${id} and revoked_at is null`.execute(db);
  return numAffectedRows === 1n;
}

interface TokenRow {
  readonly id: string;
  readonly role: Role;
  readonly name: string;
  readonly prefix: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

const tokenColumns = sql<TokenRow>`
  t.id, t.role, t.name, t.prefix, t.created_at as "createdAt", t.expires_at as "expiresAt", t.revoked_at as "revokedAt"`;

const toTokenView = (row: TokenRow): TokenView => ({
  ...row,
  createdAt: row.createdAt.toISOString(),
  expiresAt: row.expiresAt?.toISOString() ?? null,
  revokedAt: row.revokedAt?.toISOString() ?? null,
});
