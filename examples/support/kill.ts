import type { Stack } from '../../src/dev-stack/stack.js';

export interface Restart {
  readonly pid: number;
  readonly newPid: number;
  /** Unix time, ms. */
  readonly killedAtMs: number;
  readonly restartMs: number;
}

/** Sends SIGKILL to a process of the stack. @throws Error when it is not running. */
export function kill(stack: Stack, name: string): { readonly pid: number; restarted(): Promise<Restart> } {
  const pid = stack.signal(name, 'SIGKILL');
  const killedAtMs = Date.now();
  if (pid === 0) throw new Error(`${name} is not running, so it cannot be killed`);
  return {
    pid,
    /** Waits until the supervisor has restarted it. */
    restarted: async () => {
      await stack.waitReady(name);
      const newPid = stack.processes().find((process) => process.name === name)?.pid ?? 0;
      return { pid, newPid, killedAtMs, restartMs: Date.now() - killedAtMs };
    },
  };
}
