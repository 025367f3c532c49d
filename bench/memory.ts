import { readFileSync } from 'node:fs';

/** @returns the resident memory of a process in MB, or undefined where /proc does not exist. */
export function residentMb(pid: number): number | undefined {
  try {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1024;
  } catch {
    return undefined;
  }
}
