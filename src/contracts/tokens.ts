import { z } from 'zod';
import { printableText } from './printable-text.js';

export const role = z.enum(['admin', 'orchestrator', 'agent', 'viewer']);
export type Role = z.infer<typeof role>;

export const createToken = z.strictObject({
  role,
  name: printableText(100),
  expiresInSeconds: z.int().min(1).max(315_360_000).optional(),
});

export const tokenView = z.object({
  id: z.string(),
  role,
  name: z.string(),
  prefix: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
});
export type TokenView = z.infer<typeof tokenView>;
