import { GroupCommit } from '../../messaging/group-commit.js';
import {
  hashToken,
  principalsOf,
  recentlyEndedTokens,
  type ClustersDb,
  type Principal,
} from '../../stores/clusters/index.js';

const pollMs = 500;
/** The cache is used only when it was compared with the database within this time: a revoked token ends within a second. */
const trustMs = 1000;
/** After this long without a comparison the whole cache is dropped: the database lists only the tokens that ended within a minute. */
const forgetAllMs = 30_000;
const unknownMs = 1000;
const maxTokens = 100_000;
const maxLookupsPerQuery = 1000;

/**
 * Caches the principal of each token between requests, and forgets tokens that were revoked or have expired. Unknown tokens
 * that arrive at the same time share a query, so that wrong tokens cannot use up the database.
 */
export class PrincipalCache {
  readonly #db: ClustersDb;
  readonly #lookups: GroupCommit<string, Principal | undefined>;
  readonly #known = new Map<string, Principal>();
  readonly #keyOfToken = new Map<string, string>();
  readonly #unknownUntilMs = new Map<string, number>();
  #confirmedAtMs = 0;
  #generation = 0;
  #poll: Promise<void> | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(db: ClustersDb) {
    this.#db = db;
    this.#lookups = new GroupCommit(async (tokens) => [...(await principalsOf(db, tokens))], maxLookupsPerQuery);
    this.#timer = setInterval(() => void this.#confirm(), pollMs);
    this.#timer.unref();
  }

  /** @returns undefined for a token that is unknown, expired or revoked. */
  async find(token: string): Promise<Principal | undefined> {
    const key = hashToken(token).toString('base64url');
    const cached = this.#lookUp(key);
    if (cached !== 'ask') return cached;
    const generation = this.#generation;
    const [principal] = await this.#lookups.add([token]);
    // A token that was forgotten during the query may be this one.
    if (generation === this.#generation) this.#remember(key, principal);
    return principal;
  }

  /** Whether the token is in memory, so that finding it costs the database nothing. */
  has(token: string): boolean {
    return this.#lookUp(hashToken(token).toString('base64url')) !== 'ask';
  }

  /** Forgets tokens that have ended. @param tokenIds from `Principal.tokenId`. */
  forget(tokenIds: readonly string[]): void {
    if (tokenIds.length === 0) return;
    this.#generation += 1;
    for (const id of tokenIds) {
      const key = this.#keyOfToken.get(id);
      if (key === undefined) continue;
      this.#known.delete(key);
      this.#keyOfToken.delete(id);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#poll;
  }

  #lookUp(key: string): Principal | undefined | 'ask' {
    if (performance.now() - this.#confirmedAtMs > trustMs) return 'ask';
    const known = this.#known.get(key);
    if (known) return known;
    return (this.#unknownUntilMs.get(key) ?? 0) > performance.now() ? undefined : 'ask';
  }

  #remember(key: string, principal: Principal | undefined): void {
    if (this.#known.size >= maxTokens) this.#forgetAll();
    if (this.#unknownUntilMs.size >= maxTokens) this.#unknownUntilMs.clear();
    if (principal) {
      this.#known.set(key, principal);
      this.#keyOfToken.set(principal.tokenId, key);
    } else {
      this.#unknownUntilMs.set(key, performance.now() + unknownMs);
    }
  }

  #forgetAll(): void {
    this.#generation += 1;
    this.#known.clear();
    this.#keyOfToken.clear();
    this.#unknownUntilMs.clear();
  }

  #confirm(): Promise<void> {
    this.#poll ??= this.#forgetEnded().finally(() => {
      this.#poll = undefined;
    });
    return this.#poll;
  }

  async #forgetEnded(): Promise<void> {
    const askedAtMs = performance.now();
    try {
      const ended = await recentlyEndedTokens(this.#db);
      if (ended === undefined || askedAtMs - this.#confirmedAtMs > forgetAllMs) this.#forgetAll();
      else this.forget(ended);
      this.#confirmedAtMs = askedAtMs;
    } catch {
      // Unconfirmed entries are not used; readiness reports the database.
    }
  }
}
