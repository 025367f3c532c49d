import type { Command } from 'commander';
import { role as roles, type TokenView } from '../../contracts/tokens.js';
import { apiAction } from '../api-action.js';
import { connect } from '../connect.js';
import { oneOf, wholeNumber, withoutUndefined } from '../option-parsers.js';
import { note, print } from '../print.js';
import { table } from '../table.js';

interface CreateOptions {
  readonly role: string;
  readonly name: string;
  readonly expiresIn?: number;
}

export function define(command: Command): void {
  command
    .command('create')
    .description('create a token; it is printed once and only its hash is stored')
    .requiredOption('--role <role>', `${roles.options.join(', ')}; "agent" makes an enrolment token`)
    .requiredOption('--name <name>', 'what the token is for')
    .option('--expires-in <seconds>', 'when it expires; default: never', wholeNumber(1, 315_360_000))
    .action(create);
  command.command('list').description('list tokens, without their secrets').action(list);
  command.command('revoke <id>').description('revoke a token at once').action(revoke);
}

async function create({ role, name, expiresIn }: CreateOptions, command: Command): Promise<void> {
  const { token, secret } = await connect(command).createToken({
    role: oneOf('--role', role, roles.options),
    name,
    ...withoutUndefined({ expiresInSeconds: expiresIn }),
  });
  note(command, `Token ${token.id} for ${token.role} "${token.name}". Store it now: it is not shown again.`);
  print(command, { document: { token, secret }, lines: [secret] });
}

const list = apiAction(async (api) => {
  const tokens = await api.tokens();
  const lines = table(tokens, {
    TOKEN: ({ id }) => id,
    ROLE: ({ role }) => role,
    NAME: ({ name }) => name,
    PREFIX: ({ prefix }) => `${prefix}…`,
    STATE: stateText,
  });
  return { document: { tokens }, lines };
});

function stateText({ revokedAt, expiresAt }: TokenView): string {
  if (revokedAt !== null) return `revoked ${revokedAt}`;
  if (expiresAt === null) return 'valid';
  return Date.parse(expiresAt) <= Date.now() ? `expired ${expiresAt}` : `valid until ${expiresAt}`;
}

const revoke = apiAction(async (api, id: string) => {
  await api.revokeToken(id);
  return { document: { token: { id, revoked: true } }, lines: [`Token ${id} is revoked.`] };
});
