import { quantileMs, shareWithin } from '../domain/communication/latency.js';
import { latenciesOf, type CommunicationDb, type LatencyMeasure } from '../stores/communication/index.js';

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
