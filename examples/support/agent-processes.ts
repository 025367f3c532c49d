import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A line that an agent process printed; its other fields depend on the event. */
export interface AgentEvent {
  readonly at: string;
  readonly agent: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface AgentProcess {
  readonly id: string;
  readonly pid: number;
  /** The events that it printed so far. */
  readonly events: readonly AgentEvent[];
  /** Asks it to leave and waits for its exit. */
  stop(): Promise<void>;
}

export interface AgentSpec {
  readonly id: string;
  readonly capabilities: readonly string[];
  readonly host?: string;
  /** The resource by which its cluster is scaled. */
  readonly slots?: number;
  readonly acceptance?: 'auto' | 'ask';
  readonly maxClusters?: number;
  /** How long it takes to answer an invitation while it is a member of another cluster. */
  readonly decideMs?: number;
  /** With a path it takes part in the message traffic of its cluster and journals it in this file. */
  readonly journalPath?: string;
}

export interface ManagerAccess {
  readonly url: string;
  readonly enrolmentToken: string;
}

const script = fileURLToPath(new URL('../agent-process.ts', import.meta.url));

/** Starts an agent as a process of its own. It exits with this process, even when this one is killed. */
export function spawnAgent(spec: AgentSpec, { url, enrolmentToken }: ManagerAccess): AgentProcess {
  const options = {
    id: spec.id,
    url,
    host: spec.host,
    slots: spec.slots,
    acceptance: spec.acceptance,
    'max-clusters': spec.maxClusters,
    'decide-ms': spec.decideMs,
    journal: spec.journalPath,
  };
  const args = Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  const capabilities = spec.capabilities.flatMap((name) => ['--capability', name]);
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args, ...capabilities, '--follow-stdin'], {
    env: { ...process.env, CLUSTER_MANAGER_ENROLMENT_TOKEN: enrolmentToken },
    stdio: ['pipe', 'pipe', 'inherit'],
    // Ctrl-C must not reach the agents: this process stops them in its own order.
    detached: true,
  });
  const events: AgentEvent[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => events.push(JSON.parse(line) as AgentEvent));
  child.stdin.on('error', () => undefined);
  return { id: spec.id, pid: child.pid ?? 0, events, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await exited;
  clearTimeout(timer);
}

/** Waits until a condition holds. @returns its value. @throws Error that names the condition when the time is over. */
export async function waitUntil<Value>(
  what: string,
  condition: () => Value | Promise<Value>,
  timeoutMs = 60_000,
): Promise<Exclude<Value, false | undefined>> {
  const endsAtMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value as Exclude<Value, false | undefined>;
    if (performance.now() > endsAtMs) throw new Error(`Waited ${timeoutMs / 1000} s until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The first event of a kind about a cluster from each agent that has one. */
export const firstEvents = (agents: readonly AgentProcess[], kind: string, clusterId: string): AgentEvent[] =>
  agents.flatMap(
    ({ events }) =>
      events.find(({ event, id, clusterId: other }) => event === kind && (id ?? other) === clusterId) ?? [],
  );
