import { quantileMs, shareWithin } from '../domain/communication/latency.js';
import { latenciesOf, type CommunicationDb, type LatencyMeasure } from '../stores/communication/index.js';

export { bucketOf, emptyHistogram } from '../domain/communication/latency.js';

/** One latency of a cluster's mail over a window, ms; null where there was nothing. */
export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** 0 to 1: how much of it lies within the threshold. */
  readonly withinThreshold: number | null;
}

/** Both latencies of a cluster's mail, apart: until it was handed over, and until it was acked. */
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
