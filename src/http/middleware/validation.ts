import type { Context } from 'hono';
import { z } from 'zod';
import { nearestName } from '../../config/nearest-name.js';
import { shown } from '../../config/problems.js';
import { ManagerError, type Problem } from '../../contracts/errors.js';
import type { ApiEnv } from '../deps.js';

type Result = { readonly target: string } & (
  { readonly success: true } | { readonly success: false; readonly error: z.ZodError; readonly data?: unknown }
);

interface Seen {
  readonly input: unknown;
  readonly schema: z.core.$ZodType | undefined;
  /** Where the input stands: `query`, `path`, or nothing for the body. */
  readonly place: string | undefined;
}

const places: Readonly<Record<string, string>> = { query: 'query', param: 'path', header: 'header' };

/** What every route does with input that does not fit its schema: refuse it with all that is wrong with it. */
export function refuseInvalid(result: Result, c: Context<ApiEnv>): void {
  if (result.success) return;
  const schema = result.target === 'json' ? c.var.bodySchema : undefined;
  const seen: Seen = { input: result.data, schema, place: places[result.target] };
  throw invalidRequest(result.error.issues.flatMap((issue) => problemsOfIssue(issue, seen)));
}

export const invalidRequest = (problems: readonly Problem[]): ManagerError =>
  new ManagerError(
    'invalid_request',
    `The request has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}: ` +
      problems.map(({ path, message }) => `${path} ${message}`).join('; '),
    { problems },
  );

function problemsOfIssue(issue: z.core.$ZodIssue, { input, schema, place }: Seen): Problem[] {
  const keys = place === undefined ? issue.path : [place, ...issue.path];
  const pathOf = (...more: readonly PropertyKey[]): string => [...keys, ...more].map(String).join('.') || '(body)';
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemaAt(schema, issue.path, input));
    return issue.keys.map((key) => ({ path: pathOf(key), message: unknownField(key, known) }));
  }
  const value = valueAt(input, issue.path);
  if (value === undefined && issue.code === 'invalid_type') {
    return [{ path: pathOf(), message: `is missing; ${neededOf(issue.expected)} is needed` }];
  }
  return [{ path: pathOf(), message: `is ${shown(value)}; ${allowedBy(issue, schema)}` }];
}

/** Where any value will do, zod knows only that there must be one. */
const neededOf = (expected: string): string =>
  expected === 'nonoptional' ? 'a JSON value, null at least,' : `a value of type ${expected}`;

function unknownField(key: string, known: readonly string[]): string {
  const meant = nearestName(key, known);
  if (meant !== undefined) return `is not a known field; did you mean "${meant}"?`;
  return known.length === 0 ? 'is not a known field' : `is not a known field; allowed here: ${known.join(', ')}`;
}

function allowedBy(issue: z.core.$ZodIssue, schema: z.core.$ZodType | undefined): string {
  if (issue.code !== 'invalid_union') return issue.message;
  if (issue.discriminator !== undefined && schema instanceof z.ZodDiscriminatedUnion) {
    const values = schema.options.flatMap((option) => [...(option._zod.propValues?.[issue.discriminator ?? ''] ?? [])]);
    return `allowed: ${values.map(String).join(', ')}`;
  }
  return [...new Set(issue.errors.flat().map((inner) => inner.message))].join(', or ');
}

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    input,
  );

/** The schema of a place in the body, as far as it can be told. */
function schemaAt(
  schema: z.core.$ZodType | undefined,
  path: readonly PropertyKey[],
  input: unknown,
): z.core.$ZodType | undefined {
  const plain = unwrapped(schema, input);
  const [key, ...rest] = path;
  if (key === undefined || plain === undefined) return plain;
  const inner = typeof input === 'object' && input !== null ? (input as Record<PropertyKey, unknown>)[key] : undefined;
  if (plain instanceof z.ZodObject) return schemaAt(plain.shape[String(key)] as z.ZodType | undefined, rest, inner);
  if (plain instanceof z.ZodArray) return schemaAt(plain.element, rest, inner);
  if (plain instanceof z.ZodRecord) return schemaAt(plain.valueType, rest, inner);
  return undefined;
}

function unwrapped(schema: z.core.$ZodType | undefined, input: unknown): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional) return unwrapped(schema.unwrap(), input);
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return schema;
  const { discriminator } = schema.def;
  const word = valueAt(input, [discriminator]);
  return schema.options.find((option) => option._zod.propValues?.[discriminator]?.has(word as string));
}

const knownKeys = (schema: z.core.$ZodType | undefined): string[] =>
  schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
