import { bucketOf, emptyHistogram } from '../domain/communication/latency.js';
import { addLatencies, type CommunicationDb, type LatencyMeasure } from '../stores/communication/index.js';
import type { Metrics } from '../telemetry/index.js';

/**
 * Counts two latencies for each cluster, acceptance to first delivery (`handed_over`) and acceptance to ack (`acked`), and
 * adds them to the stored histograms at each flush. A server that is killed loses the counts since its last flush.
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

  /** Stores the counts. Counts that could not be stored are kept for the next flush. */
  async flush(): Promise<void> {
    if (this.#counts.size === 0) return;
    const counted = this.#counts;
    this.#counts = new Map();
    try {
      await addLatencies(this.#db, [...counted.values()]);
    } catch (error) {
      for (const [key, { counts, ...about }] of counted) {
        const now = this.#counts.get(key)?.counts ?? emptyHistogram();
        this.#counts.set(key, { ...about, counts: now.map((count, bucket) => count + (counts[bucket] ?? 0)) });
      }
      throw error;
    }
  }
}
