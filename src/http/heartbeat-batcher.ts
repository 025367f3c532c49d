import type { Heartbeat } from '../contracts/agents.js';
import { saveHeartbeats, type BeatAnswer, type ClustersDb } from '../stores/clusters/index.js';
import type { Metrics } from '../telemetry/index.js';

export interface HeartbeatOptions {
  readonly leaseSeconds: number;
  /** The least time between the starts of two statements. */
  readonly windowMs: number;
}

interface Pending {
  beat: Heartbeat;
  readonly callers: { resolve(answer: BeatAnswer | undefined): void; reject(error: unknown): void }[];
}

/**
 * Writes the heartbeats of all agents by few statements: the first after a quiet time at once, then one each window,
 * never two at a time. Several heartbeats of one agent in a window are merged; the last value of each field is kept.
 */
export class HeartbeatBatcher {
  readonly #db: ClustersDb;
  readonly #options: () => HeartbeatOptions;
  readonly #metrics: Metrics;
  #pending = new Map<string, Pending>();
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #flushedAtMs = Number.NEGATIVE_INFINITY;

  constructor(db: ClustersDb, options: () => HeartbeatOptions, metrics: Metrics) {
    this.#db = db;
    this.#options = options;
    this.#metrics = metrics;
  }

  /** @returns the new lease and epochs once written; undefined when the agent does not exist or has left. */
  beat(agentId: string, beat: Heartbeat): Promise<BeatAnswer | undefined> {
    return new Promise((resolve, reject) => {
      const pending = this.#pending.get(agentId);
      if (pending) {
        pending.beat = { ...pending.beat, ...beat };
        pending.callers.push({ resolve, reject });
      } else {
        this.#pending.set(agentId, { beat, callers: [{ resolve, reject }] });
      }
      this.#schedule();
    });
  }

  /** Writes the pending heartbeats and waits for them. */
  async close(): Promise<void> {
    while (this.#pending.size > 0 || this.#flushing) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      await (this.#flushing ?? this.#flush());
    }
  }

  #schedule(): void {
    if (this.#flushing || this.#timer || this.#pending.size === 0) return;
    const dueInMs = this.#flushedAtMs + this.#options().windowMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#flush();
      },
      Math.max(0, dueInMs),
    );
  }

  #flush(): Promise<void> {
    this.#flushing = this.#save().finally(() => {
      this.#flushing = undefined;
      this.#schedule();
    });
    return this.#flushing;
  }

  async #save(): Promise<void> {
    const batch = this.#pending;
    this.#pending = new Map();
    this.#flushedAtMs = performance.now();
    this.#metrics.heartbeatBatchSize.observe(batch.size);
    try {
      const beats = new Map([...batch].map(([id, { beat }]) => [id, beat]));
      const saved = await saveHeartbeats(this.#db, beats, this.#options().leaseSeconds);
      for (const [id, { callers }] of batch) for (const { resolve } of callers) resolve(saved.get(id));
    } catch (error) {
      for (const { callers } of batch.values()) for (const { reject } of callers) reject(error);
    }
  }
}
