import { readFileSync } from 'node:fs';
import { ManagerError } from '../contracts/errors.js';

/** The text of a file, or of stdin for `-`. @throws ManagerError `invalid_request` that names the option. */
export function readText(option: string, file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new ManagerError('invalid_request', `${option} ${file} cannot be read: ${String(cause)}`, { cause });
  }
}

/** @param where for the error: `--file request.json`. @param advice what to do, begins with "; ". */
export function parseJson(where: string, text: string, advice = ''): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new ManagerError('invalid_request', `${where} is not JSON: ${(cause as SyntaxError).message}${advice}`, {
      cause,
    });
  }
}

/** The value of `--data`: JSON as it stands, `@file`, or `-` for stdin; null where there is none. */
export function dataOf(data: string | undefined): unknown {
  if (data === undefined) return null;
  if (data === '-') return parseJson('--data from stdin', readText('--data', '-'));
  if (data.startsWith('@')) return parseJson(`--data ${data}`, readText('--data', data.slice(1)));
  return parseJson('--data', data, `; a text is written in quotes, as '"hello"', a file's content as @file`);
}
