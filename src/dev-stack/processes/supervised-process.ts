import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ManagerError } from '../../contracts/errors.js';
import { logSize, readLogFrom, setLargeLogAside } from './log-file.js';
import type { ChildRecords } from './orphans.js';
import { waitForEnd, identityOf, signalProcess } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';
import { reporterFor } from '../report.js';
import type { Report } from '../report.js';

/** What to run and how to know that it is ready. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** A folder handed to the process open as file descriptor 3. */
  readonly folder?: string;
  readonly logFile: string;
  /** The file or folder that this process works on: tells it apart from every other after a crash. */
  readonly marker: string;
  /** Sent in this order on stop, each given `graceMs`; SIGKILL follows the last. */
  readonly stopSignals: readonly NodeJS.Signals[];
  readonly graceMs: number;
  readonly readyTimeoutMs: number;
  readonly isReady: (process: { readonly logSinceStart: () => string }) => Promise<boolean>;
}

export interface ProcessStatus {
  readonly name: string;
  readonly pid: number;
  readonly restarts: number;
  readonly startedAt: string;
}

const firstBackoffMs = 100;
const longestBackoffMs = 10_000;
/** A process that ran this long is taken as healthy: its next end starts the backoff anew. */
const healthyAfterMs = 10_000;
const endingSignals = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGABRT', 'SIGSEGV']);

/** One child process that is started again whenever it ends, until it is stopped. */
export class SupervisedProcess {
  readonly #spec: ProcessSpec;
  readonly #records: ChildRecords;
  readonly #say: ReturnType<typeof reporterFor>;
  #child: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #startedAt = new Date(0);
  #restarts = 0;
  #backoffMs = firstBackoffMs;
  #logOffset = 0;
  #ready = false;
  #stopping = false;
  /** From the first time it was ready: an end before that is the caller's error, later ones are repaired. */
  #supervised = false;
  #lastEnd = '';

  constructor(spec: ProcessSpec, records: ChildRecords, report: Report | undefined) {
    this.#spec = spec;
    this.#records = records;
    this.#say = reporterFor(spec.name, report);
  }

  status(): ProcessStatus {
    return {
      name: this.#spec.name,
      pid: this.#identity?.pid ?? 0,
      restarts: this.#restarts,
      startedAt: this.#startedAt.toISOString(),
    };
  }

  /** Starts it and waits until it is ready. @throws ManagerError service_unavailable, with the end of its log. */
  async start(): Promise<void> {
    setLargeLogAside(this.#spec.logFile);
    this.#spawn();
    const first = this.#child;
    const deadline = performance.now() + this.#spec.readyTimeoutMs;
    while (!(await this.#probe())) {
      const late = performance.now() > deadline;
      if (this.#child === first && !late) {
        await delay(25);
        continue;
      }
      if (this.#stopping)
        throw new ManagerError('service_unavailable', `${this.#spec.name} was stopped while it started.`);
      const what = late ? `was not ready within ${this.#spec.readyTimeoutMs} ms` : this.#lastEnd;
      const tail = this.#logTail(8);
      await this.stop();
      throw new ManagerError(
        'service_unavailable',
        `${this.#spec.name} ${what}. The end of its log ${this.#spec.logFile}:\n${tail || '(empty)'}`,
      );
    }
    this.#supervised = true;
    this.#say(`ready in ${Date.now() - this.#startedAt.getTime()} ms (pid ${this.#identity?.pid})`);
  }

  /** Waits until the process, or the one that replaces it, answers. @throws ManagerError service_unavailable after the spec's time. */
  async waitReady(): Promise<void> {
    const deadline = performance.now() + this.#spec.readyTimeoutMs;
    while (!(await this.#probe())) {
      if (performance.now() > deadline || this.#stopping) {
        throw new ManagerError(
          'service_unavailable',
          `${this.#spec.name} did not become ready (${this.#lastEnd || 'it still runs'}). The end of its log ${this.#spec.logFile}:\n${this.#logTail(8)}`,
        );
      }
      await delay(25);
    }
  }

  /** Sends a signal; the process counts as not ready until its successor is, when the signal ends it. @returns the pid, 0 when it was not running. */
  signal(signal: NodeJS.Signals): number {
    const identity = this.#identity;
    if (!identity || !signalProcess(identity, signal)) return 0;
    if (endingSignals.has(signal)) {
      this.#ready = false;
      this.#identity = undefined;
    }
    return identity.pid;
  }

  /** Ends the process for good: its stop signals in order, then SIGKILL. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    const pid = child?.pid;
    const identity = pid === undefined ? undefined : identityOf(pid);
    if (identity) {
      for (const signal of [...this.#spec.stopSignals, 'SIGKILL'] as const) {
        if (!signalProcess(identity, signal)) break;
        if (await waitForEnd(identity, this.#spec.graceMs)) break;
        this.#say(`still runs ${this.#spec.graceMs} ms after ${signal}`, 'warn');
      }
    }
    this.#records.forget(this.#spec.name);
  }

  /** For the moment in which this process itself ends: no waiting is possible any more. */
  signalAtExit(): void {
    this.#stopping = true;
    const signal = this.#spec.stopSignals[0] ?? 'SIGTERM';
    if (this.#child?.exitCode === null) this.#child.kill(signal);
  }

  #spawn(): void {
    const spec = this.#spec;
    this.#logOffset = logSize(spec.logFile);
    const log = openSync(spec.logFile, 'a', 0o600);
    const folder = spec.folder === undefined ? undefined : openSync(spec.folder, 'r');
    try {
      // A session of its own: ctrl-C reaches only the manager, which then stops its children in their order.
      const child = spawn(spec.command, spec.args, {
        cwd: spec.cwd,
        env: spec.env as NodeJS.ProcessEnv,
        detached: true,
        stdio: folder === undefined ? ['ignore', log, log] : ['ignore', log, log, folder],
        ...spec.user,
      });
      this.#child = child;
      this.#ready = false;
      this.#startedAt = new Date();
      this.#identity = child.pid === undefined ? undefined : identityOf(child.pid);
      if (this.#identity) this.#records.remember({ ...this.#identity, name: spec.name, marker: spec.marker });
      let ended = false;
      const end = (reason: string): void => {
        if (ended) return;
        ended = true;
        this.#onEnd(reason);
      };
      child.once('error', (error) => end(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => end(signal ? `was ended by ${signal}` : `ended with exit code ${code}`));
    } finally {
      closeSync(log);
      if (folder !== undefined) closeSync(folder);
    }
  }

  #onEnd(reason: string): void {
    const ranMs = Date.now() - this.#startedAt.getTime();
    this.#lastEnd = reason;
    this.#child = undefined;
    this.#identity = undefined;
    this.#ready = false;
    if (this.#stopping || !this.#supervised) return;
    if (ranMs > healthyAfterMs) this.#backoffMs = firstBackoffMs;
    this.#say(`${reason} after ${ranMs} ms; starting it again in ${this.#backoffMs} ms`, 'warn');
    const wait = this.#backoffMs;
    this.#backoffMs = Math.min(this.#backoffMs * 2, longestBackoffMs);
    setTimeout(() => {
      if (this.#stopping) return;
      this.#restarts++;
      this.#spawn();
    }, wait);
  }

  async #probe(): Promise<boolean> {
    if (this.#ready) return true;
    const identity = this.#identity;
    if (!identity || this.#stopping) return false;
    const answers = await this.#spec.isReady({ logSinceStart: () => this.#logSinceStart() });
    // Another process may have taken its place while we asked.
    if (!answers || this.#identity !== identity) return false;
    this.#ready = true;
    return true;
  }

  #logSinceStart(): string {
    return readLogFrom(this.#spec.logFile, this.#logOffset);
  }

  #logTail(lines: number): string {
    return this.#logSinceStart().trimEnd().split('\n').slice(-lines).join('\n');
  }
}
