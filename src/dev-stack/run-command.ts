import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly uid?: number;
  readonly gid?: number;
  readonly input?: string;
  /** A folder that the command receives open as file descriptor 3. */
  readonly folder?: string;
  readonly timeoutMs?: number;
  readonly onLine?: (line: string) => void;
}

export interface CommandResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. @throws the spawn error (ENOENT, EACCES), or a time-out that names the command. */
export const runCommand = (
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const folder = options.folder === undefined ? undefined : openSync(options.folder, 'r');
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env as NodeJS.ProcessEnv | undefined,
      stdio: folder === undefined ? ['pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe', folder],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
    });
    if (folder !== undefined) closeSync(folder);
    const output = { stdout: '', stderr: '' };
    let unfinished = '';
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
        if (name !== 'stderr' || !options.onLine) return;
        const lines = (unfinished + text).split('\n');
        unfinished = lines.pop() ?? '';
        for (const line of lines) options.onLine(line);
      });
    }
    let timedOut = false;
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill('SIGKILL');
          }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      if (timedOut) reject(new Error(`${command} ${args[0] ?? ''} gave no result within ${options.timeoutMs} ms`));
      else resolve({ code, ...output });
    });
    // A command that ends before it reads its input breaks the pipe; its exit code tells the rest.
    child.stdin?.on('error', () => undefined).end(options.input ?? '');
  });
