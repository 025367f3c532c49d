import { bucketOf, emptyHistogram, quantileMs, shareWithin } from '../domain/communication/latency.js';
import { addLatencies, latenciesOf, type CommunicationDb, type LatencyMeasure } from '../stores/communication/index.js';
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

/** A latency of a cluster's deliveries over a window, in milliseconds; null where nothing was measured. */
export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** The share of deliveries within the threshold, 0 to 1. */
  readonly withinThreshold: number | null;
}

/** The latencies of a cluster's deliveries from acceptance to first delivery, and from acceptance to ack. */
export async function latencySummaries(
  db: CommunicationDb,
  {
    clusterId,
    windowSeconds,
    thresholdMs,
  }: { readonly clusterId: string; readonly windowSeconds: number; readonly thresholdMs: number },
): Promise<Readonly<Record<'handedOver' | 'acked', LatencySummary>>> {
  const rows = await latenciesOf(db, { clusterId, windowSeconds });
  const summaryOf = (measure: LatencyMeasure): LatencySummary => {
    const counts = rows.find((row) => row.measure === measure)?.counts ?? [];
    return {
      count: counts.reduce((sum, count) => sum + count, 0),
      p50Ms: quantileMs(counts, 0.5),
      p95Ms: quantileMs(counts, 0.95),
      p99Ms: quantileMs(counts, 0.99),
      withinThreshold: shareWithin(counts, thresholdMs),
    };
  };
  return { handedOver: summaryOf('handed_over'), acked: summaryOf('acked') };
}
