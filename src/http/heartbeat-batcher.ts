import type { Heartbeat } from '../contracts/agents.js';
import { saveHeartbeats, type BeatAnswer, type ClustersDb } from '../stores/clusters/index.js';
import type { Metrics } from '../telemetry/index.js';

export interface HeartbeatOptions {
  readonly leaseSeconds: number;
  /** The least time between two statements, unless nothing came for longer. */
  readonly windowMs: number;
}

interface Waiting {
  beat: Heartbeat;
  readonly answers: { resolve(answer: BeatAnswer | undefined): void; reject(error: unknown): void }[];
}

/**
 * Gathers the heartbeats of all agents into few statements: a first one after quiet goes at once, then one statement
 * each window, never two at a time. Of an agent's beats in a window the fields said last are kept.
 */
export class HeartbeatBatcher {
  readonly #db: ClustersDb;
  readonly #options: () => HeartbeatOptions;
  readonly #metrics: Metrics;
  #waiting = new Map<string, Waiting>();
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #flushedAtMs = Number.NEGATIVE_INFINITY;

  constructor(db: ClustersDb, options: () => HeartbeatOptions, metrics: Metrics) {
    this.#db = db;
    this.#options = options;
    this.#metrics = metrics;
  }

  /** @returns what the statement that held the beat answered; undefined when the agent is not known or has left. */
  beat(agentId: string, beat: Heartbeat): Promise<BeatAnswer | undefined> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(agentId);
      if (waiting) {
        waiting.beat = { ...waiting.beat, ...beat };
        waiting.answers.push({ resolve, reject });
      } else {
        this.#waiting.set(agentId, { beat, answers: [{ resolve, reject }] });
      }
      this.#schedule();
    });
  }

  /** Waits for the beats that were accepted. */
  async close(): Promise<void> {
    while (this.#waiting.size > 0 || this.#flushing) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      await (this.#flushing ?? this.#flush());
    }
  }

  #schedule(): void {
    if (this.#flushing || this.#timer || this.#waiting.size === 0) return;
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
    const batch = this.#waiting;
    this.#waiting = new Map();
    this.#flushedAtMs = performance.now();
    this.#metrics.heartbeatBatchSize.observe(batch.size);
    try {
      const beats = new Map([...batch].map(([id, { beat }]) => [id, beat]));
      const saved = await saveHeartbeats(this.#db, beats, this.#options().leaseSeconds);
      for (const [id, { answers }] of batch) for (const { resolve } of answers) resolve(saved.get(id));
    } catch (error) {
      for (const { answers } of batch.values()) for (const { reject } of answers) reject(error);
    }
  }
}
