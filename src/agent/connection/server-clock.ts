/** Covers the transit time of an answer and the resolution of its `Date` header, one second. */
const marginMs = 1000;
const noiseMs = 2000;
/** So many lower readings in a row mean that the server's clock was set back. */
const lowerReadingsNeeded = 5;

/**
 * Estimates the server's clock from its answers. Leases expire by the server's clock, not by the agent's.
 * @param nowMs the agent's own monotonic clock.
 */
export function createServerClock(nowMs: () => number) {
  let offsetMs: number | undefined;
  let lowerReadings: number[] = [];
  return {
    note: (serverTimeMs: number | undefined): void => {
      if (serverTimeMs === undefined) return;
      const readingMs = serverTimeMs - nowMs();
      if (offsetMs === undefined || readingMs >= offsetMs - noiseMs) {
        // Transit time only lowers a reading, so the highest is the most accurate.
        offsetMs = Math.max(offsetMs ?? readingMs, readingMs);
        lowerReadings = [];
        return;
      }
      // One late answer proves nothing: this process may have been suspended.
      lowerReadings.push(readingMs);
      if (lowerReadings.length < lowerReadingsNeeded) return;
      offsetMs = Math.max(...lowerReadings);
      lowerReadings = [];
    },
    /** Time left until `time` by the server's clock, ms. 0 or less when it has passed, or when the servers' clocks differ. */
    until: (time: string): number => {
      const leftMs = Date.parse(time) - (nowMs() + (offsetMs ?? Number.NaN));
      if (Number.isNaN(leftMs)) return 0;
      return Math.max(leftMs - marginMs, leftMs / 2);
    },
  };
}
