import { z } from 'zod';
import { invalidRequest } from '../../contracts/errors.js';

/** Of an array or a record whose schema states no maximum. */
const maxElements = 1000;
/** Unknown fields above this number are refused without being listed. */
const maxUnknownFields = 20;
/** Arrays and objects outside free-form data; a thousand messages to clusters have some four thousand. */
const maxContainers = 20_000;

/**
 * Checks that validating an input is cheap: zod looks at every element of an array before it checks the array's length,
 * and reports each one that is wrong. Free-form data (`z.unknown()`) is bounded by the size of the body only.
 * @throws ManagerError `invalid_request` with the first bound that is exceeded.
 */
export function requireBounded(schema: z.core.$ZodType, input: unknown): void {
  let containers = 0;

  const visit = (part: z.core.$ZodType | undefined, value: object, path: readonly PropertyKey[]): void => {
    const plain = part && unwrapped(part, value);
    if (plain instanceof z.ZodUnknown) return;
    containers += 1;
    if (containers > maxContainers) throw tooLarge([], `holds more than ${maxContainers} arrays and objects`);
    if (Array.isArray(value)) {
      const most = plain instanceof z.ZodArray ? (plain._zod.bag['maximum'] ?? maxElements) : maxElements;
      if (value.length > Number(most)) throw tooLarge(path, `has ${value.length} elements; at most ${Number(most)}`);
      const element = plain instanceof z.ZodArray ? plain.element : undefined;
      for (const [index, inner] of value.entries()) if (isContainer(inner)) visit(element, inner, [...path, index]);
      return;
    }
    const keys = Object.keys(value);
    const most = plain instanceof z.ZodObject ? Object.keys(plain.shape).length + maxUnknownFields : maxElements;
    if (keys.length > most) throw tooLarge(path, `has ${keys.length} fields; at most ${most}`);
    for (const key of keys) {
      const inner = (value as Readonly<Record<string, unknown>>)[key];
      if (isContainer(inner)) visit(schemaOfField(plain, key), inner, [...path, key]);
    }
  };

  if (isContainer(input)) visit(schema, input, []);
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** The schema that a field of an object is validated by, as far as it can be told without validating. */
export function schemaOfField(schema: z.core.$ZodType | undefined, key: string): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodObject) return schema.shape[key] as z.ZodType | undefined;
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return undefined;
}

/** Without defaults and optionality; of a discriminated union the option that the value names. */
export function unwrapped(schema: z.core.$ZodType, value: unknown): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
    return unwrapped(schema.unwrap(), value);
  }
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return schema;
  const { discriminator } = schema.def;
  const name = (value as Readonly<Record<string, unknown>> | null | undefined)?.[discriminator];
  return schema.options.find((option) => option._zod.propValues?.[discriminator]?.has(name as string));
}

const tooLarge = (path: readonly PropertyKey[], message: string) =>
  invalidRequest('The request', [{ path: path.map(String).join('.') || '(body)', message }]);
