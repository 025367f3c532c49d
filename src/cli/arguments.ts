import { InvalidArgumentError } from 'commander';
import { ManagerError } from '../contracts/errors.js';

/* Readers of option values for commander: each returns the value or says what is allowed. */

/** For options that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Allowed: a whole number from ${min} to ${max}.`);
  };

/** `4`, `3..5` or `3..4..5`: exactly, from..to, from..wanted..to. What is wanted of from..to is the manager's to say. */
export function sizeRange(text: string): { readonly min?: number; readonly desired?: number; readonly max?: number } {
  const numbers = text.split('..').map((part) => (/^\d{1,4}$/.test(part) ? Number(part) : Number.NaN));
  const [first, second, third] = numbers;
  if (numbers.length <= 3 && first !== undefined && !numbers.some(Number.isNaN)) {
    if (second === undefined) return { min: first, desired: first, max: first };
    if (third === undefined) return { min: first, max: second };
    return { min: first, desired: second, max: third };
  }
  throw new InvalidArgumentError('Allowed: a number (4), a range (3..5) or a range with what is wanted (3..4..5).');
}

/** `host`, `host:hard`, `zone:soft`. */
export function spreadRule(text: string): { readonly by: 'host' | 'zone'; readonly mode: 'soft' | 'hard' } {
  const [by, mode = 'soft', more] = text.split(':');
  if ((by === 'host' || by === 'zone') && (mode === 'soft' || mode === 'hard') && more === undefined) {
    return { by, mode };
  }
  throw new InvalidArgumentError('Allowed: host, zone, each with ":hard" or ":soft".');
}

/** `name=capability`, `name=capability:2`, `name=capability:1..3`. */
export function roleOf(text: string): { name: string; capability: string; min?: number; max?: number } {
  const match = /^([^=]+)=(.+?)(?::(\d{1,4})(?:\.\.(\d{1,4}))?)?$/.exec(text);
  const [, name, capability, min, max] = match ?? [];
  if (name === undefined || capability === undefined) {
    throw new ManagerError(
      'invalid_request',
      `--role "${text}" cannot be read; allowed: name=capability, name=capability:2 or name=capability:1..3`,
    );
  }
  if (min === undefined) return { name, capability };
  return { name, capability, min: Number(min), max: Number(max ?? min) };
}

/** `slots=2` pairs as an object. @throws ManagerError `invalid_request` that names the option. */
export function pairs(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const cut = text.indexOf('=');
      if (cut > 0) return [text.slice(0, cut), text.slice(cut + 1)];
      throw new ManagerError('invalid_request', `${option} "${text}" cannot be read; allowed: name=value`);
    }),
  );
}

export function numbers(option: string, texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(pairs(option, texts)).map(([name, text]) => {
      const value = Number(text);
      if (text.trim() !== '' && Number.isFinite(value)) return [name, value];
      throw new ManagerError('invalid_request', `${option} "${name}=${text}" cannot be read; allowed: name=number`);
    }),
  );
}
