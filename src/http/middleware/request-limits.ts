import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { ManagerError } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';
import type { Metrics } from '../../telemetry/index.js';
import { retryLater } from '../error-with-headers.js';

/** What one token may use of one server. Tokens that belong to no agent may use ten times as much. */
export interface TokenLimits {
  readonly requestsPerSecond: number;
  /** Bytes of request bodies. */
  readonly bytesPerSecond: number;
  /** Messages sent and deliveries acknowledged. */
  readonly itemsPerSecond: number;
  /** Requests in progress, waiting polls and open streams included. */
  readonly concurrentRequests: number;
  /** Requests to endpoints that need no token, of each address. */
  readonly publicRequestsPerSecond: number;
}

type Rate = keyof typeof rates;

const rates = {
  requestsPerSecond: { unit: 'requests', key: 'limits.requests_per_second' },
  bytesPerSecond: { unit: 'bytes', key: 'limits.kib_per_second' },
  itemsPerSecond: { unit: 'messages and acks', key: 'limits.items_per_second' },
} as const;

/** Tokens of operators and enrolment tokens act for many. */
const sharedFactor = 10;

/** Counts what each token uses, in memory: a limit holds for each server by itself. */
export class RequestLimits {
  readonly #limits: () => TokenLimits;
  readonly #metrics: Metrics;
  readonly #limiters = new Map<string, RateLimiterMemory>();
  readonly #inProgress = new Map<string, number>();

  constructor(limits: () => TokenLimits, metrics: Metrics) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /**
   * Takes an amount from what the token may use in this second.
   * @throws ManagerError `too_many_requests` with `Retry-After`.
   */
  async take(principal: Principal, rate: Rate, amount: number): Promise<void> {
    if (amount === 0) return;
    const most = this.#limits()[rate] * factorOf(principal);
    const { unit, key } = rates[rate];
    await this.#consume(rate, principal.tokenId, {
      amount,
      most,
      what: `This token has used its ${most} ${unit} a second`,
      key,
    });
  }

  /**
   * Counts a request that needs no token.
   * @throws ManagerError `too_many_requests` with `Retry-After`.
   */
  async takePublic(address: string): Promise<void> {
    const most = this.#limits().publicRequestsPerSecond;
    const what = `This address has used its ${most} requests a second without a token`;
    await this.#consume('publicRequestsPerSecond', address, {
      amount: 1,
      most,
      what,
      key: 'limits.public_requests_per_second',
    });
  }

  /**
   * Counts a request as in progress.
   * @returns a function that counts it as done.
   * @throws ManagerError `too_many_requests` when the token has its maximum in progress.
   */
  enter(principal: Principal): () => void {
    const { tokenId } = principal;
    const most = this.#limits().concurrentRequests * factorOf(principal);
    const now = this.#inProgress.get(tokenId) ?? 0;
    if (now >= most) {
      throw this.#refusal(
        'concurrentRequests',
        `This token has its ${most} requests in progress`,
        'limits.concurrent_requests',
        1,
      );
    }
    this.#inProgress.set(tokenId, now + 1);
    return () => {
      const left = (this.#inProgress.get(tokenId) ?? 1) - 1;
      if (left > 0) this.#inProgress.set(tokenId, left);
      else this.#inProgress.delete(tokenId);
    };
  }

  async #consume(
    limit: keyof TokenLimits,
    holder: string,
    {
      amount,
      most,
      what,
      key,
    }: { readonly amount: number; readonly most: number; readonly what: string; readonly key: string },
  ): Promise<void> {
    try {
      await this.#limiterOf(limit, most).consume(holder, amount);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      throw this.#refusal(limit, what, key, Math.max(1, Math.ceil(error.msBeforeNext / 1000)));
    }
  }

  #limiterOf(limit: keyof TokenLimits, points: number): RateLimiterMemory {
    const name = `${limit} ${points}`;
    const known = this.#limiters.get(name);
    if (known) return known;
    const limiter = new RateLimiterMemory({ points, duration: 1 });
    this.#limiters.set(name, limiter);
    return limiter;
  }

  #refusal(limit: keyof TokenLimits, what: string, key: string, seconds: number): ManagerError {
    this.#metrics.limitRefusals.inc({ limit });
    return retryLater(
      'too_many_requests',
      `${what} on this server; try again after ${seconds} s, send less, or ask an admin to raise ${key}`,
      seconds,
    );
  }
}

const factorOf = ({ agentId }: Principal): number => (agentId === null ? sharedFactor : 1);
