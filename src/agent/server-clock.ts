/** What the server's clock says now, as far as its answers told. Leases end by the server's clock, not by ours. */
export interface ServerClock {
  note(serverTimeMs: number | undefined): void;
  /** Until then by the server's clock, ms; 0 or less when it is over, or when the servers' own clocks differ. */
  until(time: string): number;
}

/** For the answer's way back, and because the server tells its time in whole seconds. */
const marginMs = 1000;
const noiseMs = 2000;
const believedAfter = 5;

/** @param nowMs the agent's own clock, which nobody sets. */
export function createServerClock(nowMs: () => number): ServerClock {
  let aheadMs: number | undefined;
  let lower: number[] = [];
  return {
    note: (serverTimeMs) => {
      if (serverTimeMs === undefined) return;
      const saidMs = serverTimeMs - nowMs();
      if (aheadMs === undefined || saidMs >= aheadMs - noiseMs) {
        // An answer is late by its way and never early, so the highest is the truest.
        aheadMs = Math.max(aheadMs ?? saidMs, saidMs);
        lower = [];
        return;
      }
      // One late answer says nothing, as of a process that was stopped; many say that the clock was set.
      lower.push(saidMs);
      if (lower.length < believedAfter) return;
      aheadMs = Math.max(...lower);
      lower = [];
    },
    until: (time) => {
      const leftMs = Date.parse(time) - (nowMs() + (aheadMs ?? Number.NaN));
      if (Number.isNaN(leftMs)) return 0;
      return Math.max(leftMs - marginMs, leftMs / 2);
    },
  };
}
