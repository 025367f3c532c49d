import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ManagerError, messageOf } from '../contracts/errors.js';
import { withPidLock } from './processes/pid-lock.js';
import { logFor, type Report } from './report.js';
import { runCommand } from './run-command.js';

/** A program that can be run on this machine. */
export interface Program {
  /** The executable, or the folder of several. */
  readonly path: string;
  /** Dotted numbers, such as `15.18`. */
  readonly version: string;
  /** Where it was found, for a person. */
  readonly from: string;
}

/** One place or method that was tried, and why it gave no usable program. */
export interface Attempt {
  readonly way: string;
  readonly reason: string;
}

export interface SearchResult {
  readonly found?: Program;
  readonly attempts: readonly Attempt[];
}

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** @throws Error when the file is missing or may not be executed. */
export const assertExecutable = (path: string): void => {
  if (isExecutable(path)) return;
  throw new Error(existsSync(path) ? `${path} may not be executed` : `${path} does not exist`);
};

/** The first program of this name on PATH. */
export const findOnPath = (name: string, searchPath: string | undefined): string | undefined =>
  (searchPath ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable);

/** The version that `path --version` prints, as the first group of `pattern`. @throws Error with what it printed instead. */
export const readVersion = async (path: string, pattern: RegExp): Promise<string> => {
  assertExecutable(path);
  const output = await runCommand(path, ['--version'], { timeout: 20_000 });
  const version = pattern.exec(output)?.[1];
  if (!version) throw new Error(`${path} --version printed: ${output.slice(0, 200)}`);
  return version;
};

/**
 * Finds a program: where the variable says when it is set, else in the first of the places where it is usable.
 * @param options.inspect returns the version of the program at a path, or throws an Error that says why it is not usable.
 * @throws ManagerError invalid_configuration when the variable is set and its program is not usable: another one is not
 * used silently instead.
 */
export const findProgram = async (options: {
  readonly variable: string;
  /** The variable's value. */
  readonly chosen: string | undefined;
  readonly allowed: string;
  readonly places: readonly { readonly way: string; readonly path: string | undefined }[];
  readonly inspect: (path: string) => Promise<string>;
}): Promise<SearchResult> => {
  const { variable, chosen, allowed, inspect } = options;
  const attempts: Attempt[] = [];
  for (const { way, path } of chosen ? [{ way: variable, path: chosen }] : options.places) {
    try {
      if (path === undefined) throw new Error('not found');
      return { found: { path, version: await inspect(path), from: `${way} (${path})` }, attempts };
    } catch (error) {
      attempts.push({ way, reason: messageOf(error) });
    }
  }
  if (!chosen) return { attempts };
  throw new ManagerError(
    'invalid_configuration',
    `${variable}=${chosen} cannot be used: ${attempts[0]?.reason}. Set it to ${allowed}, or unset it.`,
  );
};

/** @throws ManagerError service_unavailable that names every place and method tried, why each failed, and what to do. */
export const requireProgram = (name: string, { found, attempts }: SearchResult, advice: string): Program => {
  if (found) return found;
  const tried = attempts.map(({ way, reason }) => `  - ${way}: ${reason}`);
  throw new ManagerError(
    'service_unavailable',
    [`No usable ${name} was found. Tried, in this order:`, ...tried, advice].join('\n'),
  );
};

/**
 * Finds a program, and installs it by the first method that works when there is none. Logs which one is used.
 * @throws ManagerError service_unavailable when every method failed.
 */
export const findOrInstallProgram = async (options: {
  readonly name: string;
  /** The part of the stack that logs. */
  readonly part: string;
  readonly find: () => Promise<SearchResult>;
  readonly methods: readonly { readonly way: string; readonly install: () => Promise<void> }[];
  /** Held during an installation, so that two processes do not install the same program at once. */
  readonly lockFile: string;
  readonly advice: string;
  /** What the version that is logged belongs to. */
  readonly foundAs: string;
  readonly report: Report | undefined;
}): Promise<Program> => {
  const { name, find, methods, lockFile, advice } = options;
  const log = logFor(options.part, options.report);
  let result = await find();
  const attempts = [...result.attempts];
  const installBy = async ({ way, install }: (typeof methods)[number]): Promise<SearchResult> => {
    // Another process may have installed it while this one waited for the lock.
    const present = await find();
    if (present.found) return present;
    log(`no usable ${name} on this machine: trying ${way}`);
    await install();
    const installed = await find();
    if (installed.found) return installed;
    throw new Error(installed.attempts.at(-1)?.reason ?? 'it installed nothing usable');
  };
  for (const method of methods) {
    if (result.found) break;
    try {
      result = await withPidLock(lockFile, () => installBy(method), log);
    } catch (error) {
      if (error instanceof ManagerError) throw error;
      log(`${method.way}: ${messageOf(error)}`, 'warn');
      attempts.push({ way: method.way, reason: messageOf(error) });
    }
  }
  const program = requireProgram(name, { ...result, attempts }, advice);
  log(`${options.foundAs} ${program.version} from ${program.from}`);
  return program;
};
