import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../support/wait-for.js';

/** A worker or server of the build in dist. It is restarted whenever it exits, as by the launcher but without backoff. */
export class ProductProcess {
  readonly #program: 'worker' | 'server';
  readonly #script: string;
  readonly #port: number;
  readonly #env: Readonly<Record<string, string>>;
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #stopping = false;
  deaths = 0;

  /** @param options.port of its `/readyz` on loopback. */
  constructor(
    program: 'worker' | 'server',
    options: { readonly env: Readonly<Record<string, string>>; readonly port: number; readonly logFile: string },
  ) {
    this.#program = program;
    this.#script = fileURLToPath(new URL(`../../dist/${program}.js`, import.meta.url));
    if (!existsSync(this.#script)) throw new Error(`${this.#script} is not there; run: npm run build`);
    this.#port = options.port;
    this.#env = {
      ...options.env,
      [program === 'worker' ? 'CLUSTER_MANAGER_WORKER_HEALTH_PORT' : 'CLUSTER_MANAGER_PORT']: String(options.port),
    };
    this.#logFile = options.logFile;
  }

  async start(): Promise<void> {
    this.#spawn();
    try {
      await this.waitReady();
    } catch (cause) {
      await this.stop();
      throw new Error(`The ${this.#program} said: ${readFileSync(this.#logFile, 'utf8').slice(-2_000)}`, { cause });
    }
  }

  #spawn(): void {
    const log = openSync(this.#logFile, 'w', 0o600);
    const child = spawn(process.execPath, [this.#script], {
      env: { ...process.env, ...this.#env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined;
      if (this.#stopping) return;
      this.deaths += 1;
      // A process that cannot reach its services exits at once, so a restart without a pause would be a busy loop.
      setTimeout(() => this.#stopping || this.#spawn(), 200);
    });
  }

  waitReady(): Promise<unknown> {
    const url = `http://127.0.0.1:${this.#port}/readyz`;
    const isReady = async (): Promise<boolean> => {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.ok;
    };
    return waitFor(`the ${this.#program} to answer 200 at ${url}`, isReady, { timeoutMs: 60_000 });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (!child) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await ended;
  }
}
