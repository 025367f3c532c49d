/**
 * Waits until a condition holds. @returns what it gave.
 * @throws Error that says what was awaited, and the condition's last error.
 */
export async function waitFor<Value>(
  what: string,
  condition: () => Promise<Value | undefined | false> | Value | undefined | false,
  { timeoutMs = 20_000, everyMs = 25 } = {},
): Promise<Value> {
  const until = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > until) throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
