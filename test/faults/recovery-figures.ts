const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;

/** Prints how long recovery took, as one JSON line. */
export function printRecovery(what: string, recoveriesMs: readonly number[], facts: object = {}): void {
  const sorted = [...recoveriesMs].sort((a, b) => a - b);
  const [p50Ms, p95Ms, maxMs] = [0.5, 0.95, 1].map((share) => Math.round(percentile(sorted, share)));
  process.stdout.write(
    `${JSON.stringify({ figure: `faults.${what}.recovery`, runs: sorted.length, p50Ms, p95Ms, maxMs, ...facts })}\n`,
  );
}
