import type { Stack } from '../../src/dev-stack/stack.js';

export interface Kill {
  readonly pid: number;
  readonly newPid: number;
  readonly killedMs: number;
  readonly backMs: number;
}

/** Ends a process of the stack with SIGKILL, at once. @throws Error when it was not running. */
export function kill(stack: Stack, name: string): { readonly pid: number; back(): Promise<Kill> } {
  const pid = stack.signal(name, 'SIGKILL');
  const killedMs = Date.now();
  if (pid === 0) throw new Error(`${name} was not running when it should have been killed`);
  return {
    pid,
    /** Waits until its supervisor has it back. */
    back: async () => {
      await stack.waitReady(name);
      const newPid = stack.processes().find((process) => process.name === name)?.pid ?? 0;
      return { pid, newPid, killedMs, backMs: Date.now() - killedMs };
    },
  };
}
