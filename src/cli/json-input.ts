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

/**
 * @param source for the error, such as `--file request.json`.
 * @param advice for the error, beginning with "; ".
 * @throws ManagerError `invalid_request`.
 */
export function parseJson(source: string, text: string, advice = ''): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const { message } = cause as SyntaxError;
    throw new ManagerError('invalid_request', `${source} is not JSON: ${message}${advice}`, { cause });
  }
}

/** The value of `--data`: JSON, `@file` or `-` for stdin; null without the option. @throws ManagerError `invalid_request`. */
export function parseData(data: string | undefined): unknown {
  if (data === undefined) return null;
  if (data === '-') return parseJson('--data from stdin', readText('--data', '-'));
  if (data.startsWith('@')) return parseJson(`--data ${data}`, readText('--data', data.slice(1)));
  return parseJson('--data', data, `; write a string with its quotes, as '"hello"', and a file's content as @file`);
}
