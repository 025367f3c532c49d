import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ManagerError } from '../../contracts/errors.js';
import { logFor, type Log, type Report } from '../report.js';
import { logSize, logTail, rotateLargeLog } from './log-file.js';
import type { ChildRecords } from './orphans.js';
import { endProcess, identityOf, signalProcess, type ProcessIdentity } from './process-identity.js';

/** What to run, and how to know that it is ready. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** A folder that the process receives open as file descriptor 3. */
  readonly folder?: string;
  readonly logFile: string;
  /** The file or folder that this process uses: identifies it after a crash of the manager. */
  readonly marker: string;
  /** Sent in this order on stop, each followed by a wait of `graceMs`; SIGKILL follows the last. */
  readonly stopSignals: readonly NodeJS.Signals[];
  readonly graceMs: number;
  readonly readyTimeoutMs: number;
  readonly isReady: () => Promise<boolean>;
}

export interface ProcessStatus {
  readonly name: string;
  /** 0 while the process is between two runs. */
  readonly pid: number;
  readonly restarts: number;
  readonly startedAt: string;
}

const firstBackoffMs = 100;
const longestBackoffMs = 10_000;
/** A process that ran this long counts as healthy: its next restart has the first backoff. */
const healthyAfterMs = 10_000;
const pollMs = 25;
const endingSignals = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGABRT', 'SIGSEGV']);

/** A child process that is restarted whenever it ends, until it is stopped. */
export class SupervisedProcess {
  readonly #spec: ProcessSpec;
  readonly #records: ChildRecords;
  readonly #log: Log;
  #child: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #startedAt = new Date(0);
  #restarts = 0;
  #backoffMs = firstBackoffMs;
  #logOffset = 0;
  #ready = false;
  #stopping = false;
  /** True from the first time that it was ready: an earlier end fails `start`, a later one is followed by a restart. */
  #supervised = false;
  #exitReason = '';

  constructor(spec: ProcessSpec, records: ChildRecords, report: Report | undefined) {
    this.#spec = spec;
    this.#records = records;
    this.#log = logFor(spec.name, report);
  }

  status(): ProcessStatus {
    return {
      name: this.#spec.name,
      pid: this.#identity?.pid ?? 0,
      restarts: this.#restarts,
      startedAt: this.#startedAt.toISOString(),
    };
  }

  /** Starts the process and waits until it is ready. @throws ManagerError service_unavailable, with the end of its log. */
  async start(): Promise<void> {
    rotateLargeLog(this.#spec.logFile);
    this.#spawn();
    const first = this.#child;
    try {
      await this.#waitUntilReady(() => this.#child !== first);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#supervised = true;
    this.#log(`ready in ${Date.now() - this.#startedAt.getTime()} ms (pid ${this.#identity?.pid})`);
  }

  /** Waits until the process, or the one that replaces it, is ready. @throws ManagerError service_unavailable. */
  waitReady(): Promise<void> {
    return this.#waitUntilReady(() => false);
  }

  /**
   * Sends a signal. After a signal that ends the process, `waitReady` waits for the process that replaces it.
   * @returns the pid, 0 when the process was not running.
   */
  signal(signal: NodeJS.Signals): number {
    const identity = this.#identity;
    if (!identity || !signalProcess(identity, signal)) return 0;
    if (endingSignals.has(signal)) {
      this.#ready = false;
      this.#identity = undefined;
    }
    return identity.pid;
  }

  /** Ends the process and does not restart it: its stop signals in order, then SIGKILL. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const pid = this.#child?.pid;
    const identity = pid === undefined ? undefined : identityOf(pid);
    const { stopSignals, graceMs } = this.#spec;
    if (identity) {
      await endProcess(identity, [...stopSignals, 'SIGKILL'], graceMs, (signal) =>
        this.#log(`still runs ${graceMs} ms after ${signal}`, 'warn'),
      );
    }
    this.#records.remove(this.#spec.name);
  }

  /** For this process's own exit, when waiting is no longer possible. */
  signalAtExit(): void {
    this.#stopping = true;
    if (this.#child?.exitCode === null) this.#child.kill(this.#spec.stopSignals[0] ?? 'SIGTERM');
  }

  #spawn(): void {
    const spec = this.#spec;
    this.#logOffset = logSize(spec.logFile);
    const log = openSync(spec.logFile, 'a', 0o600);
    const folder = spec.folder === undefined ? [] : [openSync(spec.folder, 'r')];
    try {
      // In a session of its own: ctrl-C reaches only the manager, which then stops its children in order.
      const child = spawn(spec.command, spec.args, {
        cwd: spec.cwd,
        env: spec.env,
        detached: true,
        stdio: ['ignore', log, log, ...folder],
        ...spec.user,
      });
      this.#child = child;
      this.#ready = false;
      this.#startedAt = new Date();
      this.#identity = child.pid === undefined ? undefined : identityOf(child.pid);
      if (this.#identity) this.#records.add({ ...this.#identity, name: spec.name, marker: spec.marker });
      const onEnd = (reason: string): void => {
        // An error may be followed by an exit or not.
        if (this.#child === child) this.#onEnd(reason);
      };
      child.once('error', (error) => onEnd(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => onEnd(signal ? `was ended by ${signal}` : `ended with exit code ${code}`));
    } finally {
      for (const descriptor of [log, ...folder]) closeSync(descriptor);
    }
  }

  #onEnd(reason: string): void {
    const ranMs = Date.now() - this.#startedAt.getTime();
    this.#exitReason = reason;
    this.#child = undefined;
    this.#identity = undefined;
    this.#ready = false;
    if (this.#stopping || !this.#supervised) return;
    if (ranMs > healthyAfterMs) this.#backoffMs = firstBackoffMs;
    const backoffMs = this.#backoffMs;
    this.#backoffMs = Math.min(backoffMs * 2, longestBackoffMs);
    this.#log(`${reason} after ${ranMs} ms; restarting in ${backoffMs} ms`, 'warn');
    setTimeout(() => {
      if (this.#stopping) return;
      this.#restarts++;
      this.#spawn();
    }, backoffMs);
  }

  async #waitUntilReady(hasFailed: () => boolean): Promise<void> {
    const { name, readyTimeoutMs, logFile } = this.#spec;
    const deadline = performance.now() + readyTimeoutMs;
    while (!(await this.#checkReady())) {
      const isLate = performance.now() > deadline;
      if (!isLate && !this.#stopping && !hasFailed()) {
        await delay(pollMs);
        continue;
      }
      if (this.#stopping) throw new ManagerError('service_unavailable', `${name} was stopped before it was ready.`);
      const reason = isLate
        ? `was not ready within ${readyTimeoutMs} ms (${this.#exitReason || 'it still runs'})`
        : this.#exitReason;
      throw new ManagerError(
        'service_unavailable',
        `${name} ${reason}. The end of its log ${logFile}:\n${(await logTail(logFile, this.#logOffset, 8)) || '(empty)'}`,
      );
    }
  }

  async #checkReady(): Promise<boolean> {
    if (this.#ready) return true;
    const identity = this.#identity;
    if (!identity || this.#stopping || !(await this.#spec.isReady())) return false;
    // A new process may have replaced this one during the check.
    this.#ready = this.#identity === identity;
    return this.#ready;
  }
}
