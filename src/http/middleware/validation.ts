import { z } from 'zod';
import { nearestName } from '../../config/nearest-name.js';
import { shown } from '../../config/problems.js';
import { invalidRequest, maxProblems, type Problem } from '../../contracts/errors.js';
import { requireBounded, schemaOfField, unwrapped } from './input-bounds.js';

type Part = 'query' | 'path' | 'header' | 'body';

interface Validated {
  readonly input: unknown;
  readonly schema: z.core.$ZodType | undefined;
  readonly part: Part;
}

/**
 * Validates one part of a request.
 * @throws ManagerError `invalid_request` that lists the problems of the part, at most `maxProblems`.
 */
export function validate<Schema extends z.ZodType>(schema: Schema, input: unknown, part: Part): z.output<Schema> {
  requireBounded(schema, input);
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const { issues } = result.error;
  const total = issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0);
  // Only the problems that are listed get a message: finding a similar field name compares it with every known one.
  const problems = issues.slice(0, maxProblems).flatMap((issue) => problemsOfIssue(issue, { input, schema, part }));
  throw invalidRequest('The request', problems, total);
}

function problemsOfIssue(issue: z.core.$ZodIssue, { input, schema, part }: Validated): Problem[] {
  const keys = part === 'body' ? issue.path : [part, ...issue.path];
  const pathOf = (...more: readonly PropertyKey[]): string => [...keys, ...more].map(String).join('.') || '(body)';
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemaAt(schema, issue.path, input));
    return issue.keys
      .slice(0, maxProblems)
      .map((key) => ({ path: pathOf(key), message: unknownField(key.slice(0, 100), known) }));
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
  const plain = schema && unwrapped(schema, input);
  const [key, ...rest] = path;
  if (key === undefined || plain === undefined) return plain;
  const inner = plain instanceof z.ZodArray ? plain.element : schemaOfField(plain, String(key));
  return schemaAt(inner, rest, valueAt(input, [key]));
}

const knownKeys = (schema: z.core.$ZodType | undefined): string[] =>
  schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
