import {
  hashToken,
  principalOf,
  revocationMark,
  type ClustersDb,
  type Principal,
} from '../../stores/clusters/index.js';

const pollMs = 500;
/** Cache entries are not used when the mark was not confirmed for this long, so a revoked token is refused within a second. */
const trustMs = 1000;
const unknownMs = 1000;
const most = 100_000;

/** Caches the principal of each token between requests; the cache is cleared when any token is revoked or expires. */
export class PrincipalCache {
  readonly #db: ClustersDb;
  readonly #known = new Map<string, Principal>();
  readonly #unknownUntilMs = new Map<string, number>();
  #mark: string | undefined;
  #confirmedAtMs = 0;
  #generation = 0;
  #poll: Promise<void> | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(db: ClustersDb) {
    this.#db = db;
    this.#timer = setInterval(() => void this.#confirm(), pollMs);
    this.#timer.unref();
  }

  /** @returns undefined for a token that is unknown, expired or revoked. */
  async find(token: string): Promise<Principal | undefined> {
    const key = hashToken(token).toString('base64url');
    const cached = this.#lookUp(key);
    if (cached !== 'ask') return cached;
    const generation = this.#generation;
    const principal = await principalOf(this.#db, token);
    // A flush during the query may have been caused by the revocation of this token.
    if (generation === this.#generation) this.#remember(key, principal);
    return principal;
  }

  /** Whether `find` can answer from memory, without a database query. */
  has(token: string): boolean {
    return this.#lookUp(hashToken(token).toString('base64url')) !== 'ask';
  }

  /** Clears the cache, for example after this server revoked a token. */
  flush(): void {
    this.#generation += 1;
    this.#known.clear();
    this.#unknownUntilMs.clear();
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
    if (this.#known.size >= most) this.#known.clear();
    if (this.#unknownUntilMs.size >= most) this.#unknownUntilMs.clear();
    if (principal) this.#known.set(key, principal);
    else this.#unknownUntilMs.set(key, performance.now() + unknownMs);
  }

  #confirm(): Promise<void> {
    this.#poll ??= this.#compareMark().finally(() => {
      this.#poll = undefined;
    });
    return this.#poll;
  }

  async #compareMark(): Promise<void> {
    const askedAtMs = performance.now();
    try {
      const mark = await revocationMark(this.#db);
      if (mark !== this.#mark || askedAtMs - this.#confirmedAtMs > trustMs) this.flush();
      this.#mark = mark;
      this.#confirmedAtMs = askedAtMs;
    } catch {
      // Entries expire when they are not confirmed; the readiness endpoint reports the database failure.
    }
  }
}
