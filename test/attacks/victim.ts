/**
 * A fleet that must not notice an attack, as a process of its own: each agent sends a heartbeat every 100 ms.
 *
 *   node --import tsx victim.ts <url> <agents as JSON: [{id, token}]>
 *
 * On SIGTERM it prints the latency of each heartbeat in ms, and how many failed, as one JSON line.
 */
const [url = '', agents = '[]'] = process.argv.slice(2);
const periodMs = 100;

const latenciesMs: number[] = [];
const failures: string[] = [];
let isEnding = false;

async function beat(id: string, token: string): Promise<void> {
  while (!isEnding) {
    const startedAtMs = performance.now();
    try {
      const response = await fetch(`${url}/v1/agents/${id}/heartbeat`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{}',
      });
      await response.arrayBuffer();
      if (!response.ok) failures.push(String(response.status));
    } catch (error) {
      failures.push(String(error));
    }
    const tookMs = performance.now() - startedAtMs;
    latenciesMs.push(tookMs);
    if (tookMs < periodMs) await new Promise((resolve) => setTimeout(resolve, periodMs - tookMs));
  }
}

process.once('SIGTERM', () => {
  isEnding = true;
});
process.stdout.write('beating\n');
const fleet = JSON.parse(agents) as { readonly id: string; readonly token: string }[];
await Promise.all(fleet.map(({ id, token }) => beat(id, token)));
process.stdout.write(`${JSON.stringify({ latenciesMs, failures })}\n`);
