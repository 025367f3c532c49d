import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { ManagerConfig } from '../../config/index.js';
import type { ManagerError } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';
import type { Metrics } from '../../telemetry/index.js';
import { CountByKey } from '../count-by-key.js';
import { retryLater } from '../error-with-headers.js';

/** Each limit's settings key, and the part of the error message that says what was used up. */
const limits = {
  requestsPerSecond: {
    key: 'limits.requests_per_second',
    used: (most) => `This token has used its ${most} requests a second`,
  },
  bytesPerSecond: { key: 'limits.kib_per_second', used: (most) => `This token has used its ${most} bytes a second` },
  itemsPerSecond: {
    key: 'limits.items_per_second',
    used: (most) => `This token has used its ${most} messages and acks a second`,
  },
  concurrentRequests: {
    key: 'limits.concurrent_requests',
    used: (most) => `This token has its maximum of ${most} requests in progress`,
  },
  publicRequestsPerSecond: {
    key: 'limits.public_requests_per_second',
    used: (most) => `This address has used its ${most} requests a second without a token`,
  },
} as const satisfies Record<string, { readonly key: string; readonly used: (most: number) => string }>;

type Limit = keyof typeof limits;
type TokenRate = 'requestsPerSecond' | 'bytesPerSecond' | 'itemsPerSecond';

/** Tokens of operators and enrolment tokens act for many, so they may use ten times as much as an agent's token. */
const sharedFactor = 10;

/** Counts in memory what each token and each address uses of this server. */
export class RequestLimits {
  readonly #settings: () => ManagerConfig['tokenLimits'];
  readonly #metrics: Metrics;
  readonly #limiters = new Map<string, RateLimiterMemory>();
  readonly #inProgress = new CountByKey();

  constructor(settings: () => ManagerConfig['tokenLimits'], metrics: Metrics) {
    this.#settings = settings;
    this.#metrics = metrics;
  }

  /**
   * Takes an amount from what the token may use in this second.
   * @throws ManagerError `too_many_requests` with `Retry-After`.
   */
  async take(principal: Principal, rate: TokenRate, amount: number): Promise<void> {
    if (amount > 0) await this.#consume(rate, principal.tokenId, amount, factorOf(principal));
  }

  /**
   * Counts a request that needs no token.
   * @throws ManagerError `too_many_requests` with `Retry-After`.
   */
  async takePublic(address: string): Promise<void> {
    await this.#consume('publicRequestsPerSecond', address, 1, 1);
  }

  /**
   * Counts a request as in progress until its response begins.
   * @returns a function that counts it as done.
   * @throws ManagerError `too_many_requests` when the token has its maximum in progress.
   */
  enter(principal: Principal): () => void {
    const most = this.#settings().concurrentRequests * factorOf(principal);
    if (this.#inProgress.countOf(principal.tokenId) >= most) throw this.#refusal('concurrentRequests', most, 1);
    return this.#inProgress.add(principal.tokenId);
  }

  async #consume(limit: Limit, holder: string, amount: number, factor: number): Promise<void> {
    const most = this.#settings()[limit] * factor;
    try {
      await this.#limiterOf(limit, most).consume(holder, amount);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      throw this.#refusal(limit, most, Math.max(1, Math.ceil(error.msBeforeNext / 1000)));
    }
  }

  #limiterOf(limit: Limit, points: number): RateLimiterMemory {
    const name = `${limit} ${points}`;
    const limiter = this.#limiters.get(name) ?? new RateLimiterMemory({ points, duration: 1 });
    this.#limiters.set(name, limiter);
    return limiter;
  }

  #refusal(limit: Limit, most: number, seconds: number): ManagerError {
    this.#metrics.limitRefusals.inc({ limit });
    const { key, used } = limits[limit];
    return retryLater(
      'too_many_requests',
      `${used(most)} on this server; try again after ${seconds} s, send less, or ask an admin to raise ${key}`,
      seconds,
    );
  }
}

const factorOf = ({ agentId }: Principal): number => (agentId === null ? sharedFactor : 1);
