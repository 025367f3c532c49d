import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A line of an agent's journal; what else it holds depends on the event. */
export interface JournalEntry {
  readonly at: string;
  readonly agent: string;
  readonly event: string;
  readonly [fact: string]: unknown;
}

export interface AgentProcess {
  readonly id: string;
  readonly pid: number;
  readonly journal: readonly JournalEntry[];
  /** Asks it to leave and waits for its end. */
  stop(): Promise<void>;
}

export interface AgentSpec {
  readonly id: string;
  readonly capabilities: readonly string[];
  readonly host?: string;
  /** Work it can take at a time: the resource that its cluster is scaled by. */
  readonly slots?: number;
  readonly acceptance?: 'auto' | 'ask';
  readonly maxClusters?: number;
  readonly thinkMs?: number;
  /** The file for what it sent, received and acked; it then takes part in its cluster's talk. */
  readonly journalPath?: string;
}

export interface ManagerAddress {
  readonly url: string;
  readonly enrolmentToken: string;
}

const script = fileURLToPath(new URL('../agent-process.ts', import.meta.url));

/** Starts an agent as a process of its own, which ends when this one does, however it ends. */
export function spawnAgent(spec: AgentSpec, { url, enrolmentToken }: ManagerAddress): AgentProcess {
  const options = {
    id: spec.id,
    url,
    host: spec.host,
    slots: spec.slots,
    acceptance: spec.acceptance,
    'max-clusters': spec.maxClusters,
    'think-ms': spec.thinkMs,
    journal: spec.journalPath,
  };
  const args = Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  const capabilities = spec.capabilities.flatMap((name) => ['--capability', name]);
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args, ...capabilities, '--follow-stdin'], {
    env: { ...process.env, CLUSTER_MANAGER_ENROLMENT_TOKEN: enrolmentToken },
    stdio: ['pipe', 'pipe', 'inherit'],
    // Ctrl-C is for whoever started the agents: it ends them in its own order.
    detached: true,
  });
  const journal: JournalEntry[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => journal.push(JSON.parse(line) as JournalEntry));
  child.stdin.on('error', () => undefined);
  return { id: spec.id, pid: child.pid ?? 0, journal, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended;
  clearTimeout(late);
}

/** Waits until a condition holds. @returns what it gave. @throws Error that says what was awaited in vain. */
export async function until<Value>(
  what: string,
  holds: () => Value | Promise<Value>,
  timeoutMs = 60_000,
): Promise<Exclude<Value, false | undefined>> {
  const endsAtMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await holds();
    if (value !== false && value !== undefined) return value as Exclude<Value, false | undefined>;
    if (performance.now() > endsAtMs) throw new Error(`Waited ${timeoutMs / 1000} s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The first entry of an event about a cluster, in each journal that has one. */
export const entriesOf = (agents: readonly AgentProcess[], event: string, clusterId: string): JournalEntry[] =>
  agents.flatMap(({ journal }) => {
    const entry = journal.find((line) => line.event === event && (line['id'] ?? line['clusterId']) === clusterId);
    return entry ? [entry] : [];
  });
