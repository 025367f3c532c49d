import type { Command } from 'commander';
import { ManagerError } from '../contracts/errors.js';
import { role as roles, type Role } from '../contracts/tokens.js';
import { wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { remark, show, table } from './output.js';

export function define(command: Command): void {
  command
    .command('create')
    .description('make a token; it is printed once and stored nowhere')
    .requiredOption('--role <role>', `${roles.options.join(', ')}; "agent" is for enrolling agents`)
    .requiredOption('--name <name>', 'what it is for')
    .option('--expires-in <seconds>', 'when it ends; default: never', wholeNumber(1, 315_360_000))
    .action(create);
  command.command('list').description('tokens, without the tokens themselves').action(list);
  command.command('revoke <id>').description('end a token at once').action(revoke);
}

async function create(
  options: { readonly role: string; readonly name: string; readonly expiresIn?: number },
  command: Command,
): Promise<void> {
  const { name, expiresIn } = options;
  const { token, secret } = await connect(command).createToken({
    role: roleOf(options.role),
    name,
    ...(expiresIn === undefined ? {} : { expiresInSeconds: expiresIn }),
  });
  remark(command, `Token ${token.id} for ${token.role} "${token.name}". Keep it now: it is not shown again.`);
  show(command, { token: { id: token.id, role: token.role, name: token.name, expiresAt: token.expiresAt }, secret }, [
    secret,
  ]);
}

function roleOf(text: string): Role {
  const role = roles.safeParse(text);
  if (role.success) return role.data;
  throw new ManagerError('invalid_request', `--role "${text}" is not known; allowed: ${roles.options.join(', ')}`);
}

async function list(_options: object, command: Command): Promise<void> {
  const tokens = await connect(command).tokens();
  const rows = tokens.map((token) => [
    token.id,
    token.role,
    token.name,
    `${token.prefix}…`,
    stateOf(token.revokedAt, token.expiresAt),
  ]);
  show(command, { tokens }, table(['TOKEN', 'ROLE', 'NAME', 'BEGINS', 'STATE'], rows));
}

function stateOf(revokedAt: string | null, expiresAt: string | null): string {
  if (revokedAt !== null) return `revoked ${revokedAt}`;
  if (expiresAt === null) return 'valid';
  return Date.parse(expiresAt) <= Date.now() ? `expired ${expiresAt}` : `valid until ${expiresAt}`;
}

async function revoke(id: string, _options: object, command: Command): Promise<void> {
  await connect(command).revokeToken(id);
  show(command, { token: { id, revoked: true } }, [`Token ${id} is revoked.`]);
}
