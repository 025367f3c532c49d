import { z } from 'zod';
import { nearestName } from '../../config/nearest-name.js';
import { shown } from '../../config/problems.js';
import { invalidRequest, type Problem } from '../../contracts/errors.js';

type Part = 'query' | 'path' | 'header' | 'body';

interface Validated {
  readonly input: unknown;
  readonly schema: z.core.$ZodType | undefined;
  readonly part: Part;
}

/**
 * Validates one part of a request.
 * @throws ManagerError `invalid_request` that lists every problem of the part.
 */
export function validate<Schema extends z.ZodType>(schema: Schema, input: unknown, part: Part): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw invalidRequest(
    'The request',
    result.error.issues.flatMap((issue) => problemsOfIssue(issue, { input, schema, part })),
  );
}

function problemsOfIssue(issue: z.core.$ZodIssue, { input, schema, part }: Validated): Problem[] {
  const keys = part === 'body' ? issue.path : [part, ...issue.path];
  const pathOf = (...more: readonly PropertyKey[]): string => [...keys, ...more].map(String).join('.') || '(body)';
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemaAt(schema, issue.path, input));
    return issue.keys.map((key) => ({ path: pathOf(key), message: unknownField(key, known) }));
  }
  const value = valueAt(input, issue.path);
  if (value === undefined && issue.code === 'invalid_type') {
    return [{ path: pathOf(), message: `is missing; ${neededOf(issue.expected)} is required` }];
  }
  return [{ path: pathOf(), message: `is ${shown(value)}; ${allowedBy(issue, schema)}` }];
}

/** For a field of any type zod reports only that it must be there. */
const neededOf = (expected: string): string =>
  expected === 'nonoptional' ? 'a JSON value, which may be null,' : `a value of type ${expected}`;

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

/** The schema at a path of the input, as far as it can be determined. */
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
