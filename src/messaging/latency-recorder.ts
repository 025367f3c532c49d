import { bucketOf, emptyHistogram } from './latency.js';
import { addLatencies, type CommunicationDb, type LatencyMeasure } from '../stores/communication/index.js';
import type { Metrics } from '../telemetry/index.js';

/**
 * Gathers the two latencies of mail, acceptance to hand-over and acceptance to ack, per cluster, and adds them to the
 * stored histograms every few seconds. A server that is killed loses those seconds' figures, never mail.
 */
export class LatencyRecorder {
  readonly #db: CommunicationDb;
  readonly #metrics: Metrics;
  #counts = new Map<string, { clusterId: string; measure: LatencyMeasure; counts: number[] }>();

  constructor(db: CommunicationDb, metrics: Metrics) {
    this.#db = db;
    this.#metrics = metrics;
  }

  observe(measure: LatencyMeasure, clusterId: string | null, ms: number): void {
    this.#metrics.messageSeconds.observe({ measure }, ms / 1000);
    const key = `${measure}\n${clusterId ?? ''}`;
    const entry = this.#counts.get(key) ?? { clusterId: clusterId ?? '', measure, counts: emptyHistogram() };
    this.#counts.set(key, entry);
    const bucket = bucketOf(ms);
    entry.counts[bucket] = (entry.counts[bucket] ?? 0) + 1;
  }

  /** Stores what was gathered. What cannot be stored now is added to what comes. */
  async flush(): Promise<void> {
    if (this.#counts.size === 0) return;
    const gathered = this.#counts;
    this.#counts = new Map();
    try {
      await addLatencies(this.#db, [...gathered.values()]);
    } catch (error) {
      for (const [key, { counts, ...about }] of gathered) {
        const now = this.#counts.get(key)?.counts ?? emptyHistogram();
        this.#counts.set(key, { ...about, counts: now.map((count, bucket) => count + (counts[bucket] ?? 0)) });
      }
      throw error;
    }
  }
}
