import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../support/wait-for.js';

/** A worker or a server of the built product that is started again whenever it dies, as under the launcher but at once. */
export class ProductProcess {
  readonly #program: 'worker' | 'server';
  readonly #script: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #stopping = false;
  deaths = 0;

  constructor(program: 'worker' | 'server', env: Readonly<Record<string, string>>, logFile: string) {
    this.#program = program;
    this.#script = fileURLToPath(new URL(`../../dist/${program}.js`, import.meta.url));
    if (!existsSync(this.#script)) throw new Error(`${this.#script} is not there; run: npm run build`);
    this.#env = env;
    this.#logFile = logFile;
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
      // One that cannot reach its services ends by itself: not a busy loop.
      setTimeout(() => this.#stopping || this.#spawn(), 200);
    });
  }

  waitReady(): Promise<unknown> {
    const said = `${this.#program} ready`;
    return waitFor(said, () => readFileSync(this.#logFile, 'utf8').includes(said), { timeoutMs: 60_000 });
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
