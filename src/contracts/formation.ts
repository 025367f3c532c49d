import { z } from 'zod';
import { capabilityName, identifier, labels, resourceAmounts } from './agents.js';
import { invalidRequest, type Problem } from './errors.js';
import { printableText } from './printable-text.js';

const role = z.strictObject({
  name: identifier,
  capability: capabilityName,
  min: z.int().min(0).max(1000).default(1),
  max: z.int().min(1).max(1000).optional(),
});

/** The body of a formation request, from HTTP (without `type`), the client, the CLI or any Temporal SDK. */
export const formationRequest = z.strictObject({
  requestId: identifier.optional(),
  name: printableText(200),
  requiredCapabilities: z.array(capabilityName).max(50).default([]),
  roles: z.array(role).max(20).default([]),
  size: z
    .strictObject({
      min: z.int().min(1).max(1000).optional(),
      desired: z.int().min(1).max(1000).optional(),
      max: z.int().min(1).max(1000).optional(),
    })
    .default({}),
  resources: resourceAmounts.default({}),
  labels: labels.default({}),
  spread: z.strictObject({ by: z.enum(['host', 'zone']), mode: z.enum(['soft', 'hard']).default('soft') }).optional(),
  weight: z.number().positive().max(1000).default(1),
  deadlineSeconds: z.int().min(1).max(3600).default(120),
  onInsufficient: z.enum(['fail', 'queue']).default('fail'),
  queueSeconds: z.int().min(1).max(604_800).default(3600),
});
/** A request as its caller writes it, without defaults. */
export type FormationRequest = z.input<typeof formationRequest>;

/** A request after validation, defaults and bounds: what the four steps work on and what the cluster keeps. */
export interface FormationSpec {
  readonly name: string;
  readonly requiredCapabilities: readonly string[];
  readonly roles: readonly {
    readonly name: string;
    readonly capability: string;
    readonly min: number;
    readonly max: number;
  }[];
  readonly size: { readonly min: number; readonly desired: number; readonly max: number };
  readonly resources: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly spread: { readonly by: 'host' | 'zone'; readonly mode: 'soft' | 'hard' } | null;
  readonly weight: number;
  readonly deadlineSeconds: number;
  readonly onInsufficient: 'fail' | 'queue';
  readonly queueSeconds: number;
}

export interface SizeBounds {
  readonly min: number;
  readonly max: number;
}

/** The problems of a failed validation: a dotted path and one sentence each. */
export const problemsOf = (error: z.ZodError): Problem[] =>
  error.issues.map((issue) => ({ path: issue.path.join('.') || '(body)', message: issue.message }));

/**
 * Validates an input from outside.
 * @param subject begins the error: `The formation request`.
 * @throws ManagerError `invalid_request` that lists every problem, not the first.
 */
export function parseInput<Schema extends z.ZodType>(schema: Schema, subject: string, input: unknown) {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalidRequest(subject, problemsOf(parsed.error));
}

/**
 * Parses a formation request and applies defaults and the manager's size bounds.
 * @param bounds the manager's `alert_thresholds.cluster_size`, members.
 * @throws ManagerError as `parseInput`.
 */
export const parseFormationRequest = (input: unknown, bounds: SizeBounds): FormationSpec =>
  formationSpecOf(parseInput(formationRequest, 'The formation request', input), bounds);

/** Applies the manager's size bounds to a validated request. @throws ManagerError as `parseFormationRequest`. */
export function formationSpecOf(request: z.output<typeof formationRequest>, bounds: SizeBounds): FormationSpec {
  const size = {
    min: request.size.min ?? Math.min(bounds.min, request.size.desired ?? bounds.min, request.size.max ?? bounds.min),
    max: request.size.max ?? bounds.max,
  };
  const desired = request.size.desired ?? size.min;
  const roles = request.roles.map((r) => ({ ...r, max: r.max ?? Math.max(r.min, size.max) }));
  const problems = [...sizeProblems({ ...size, desired }, bounds), ...roleProblems(roles, size.max)];
  if (problems.length > 0) throw invalidRequest('The formation request', problems);
  const { requestId: _requestId, ...rest } = request;
  return {
    ...rest,
    requiredCapabilities: [...new Set(request.requiredCapabilities)].sort(),
    roles,
    size: { min: size.min, desired, max: size.max },
    spread: request.spread ?? null,
  };
}

function sizeProblems(size: FormationSpec['size'], bounds: SizeBounds): Problem[] {
  const problems: Problem[] = [];
  const allowed = `this manager allows clusters of ${bounds.min} to ${bounds.max} (alert_thresholds.cluster_size)`;
  for (const key of ['min', 'desired', 'max'] as const) {
    if (size[key] < bounds.min || size[key] > bounds.max) {
      problems.push({ path: `size.${key}`, message: `is ${size[key]}; ${allowed}` });
    }
  }
  if (size.min > size.desired || size.desired > size.max) {
    problems.push({
      path: 'size',
      message: `min ${size.min}, desired ${size.desired}, max ${size.max} are out of order; they must satisfy min <= desired <= max`,
    });
  }
  return problems;
}

function roleProblems(roles: FormationSpec['roles'], maxSize: number): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [index, { name, min, max }] of roles.entries()) {
    if (seen.has(name))
      problems.push({ path: `roles.${index}.name`, message: `"${name}" is named twice; give each role once` });
    seen.add(name);
    if (min > max) problems.push({ path: `roles.${index}`, message: `min ${min} is above max ${max}` });
  }
  const needed = roles.reduce((sum, r) => sum + r.min, 0);
  if (needed > maxSize) {
    problems.push({
      path: 'roles',
      message: `need ${needed} members in all, the cluster may have ${maxSize}; lower a role's min or raise size.max`,
    });
  }
  return problems;
}

export const formationResult = z.object({
  clusterId: z.string(),
  epoch: z.int(),
  coordinator: z.string(),
  members: z.array(z.object({ agentId: z.string(), roles: z.array(z.string()) })),
  alternates: z.array(z.string()),
  rejected: z.record(z.string(), z.int()),
});
export type FormationResult = z.infer<typeof formationResult>;
