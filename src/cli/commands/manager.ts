import type { Command } from '@commander-js/extra-typings';
import { defined } from '../../contracts/defined.js';
import { role as roles, type TokenView } from '../../contracts/tokens.js';
import { duration } from '../format.js';
import { oneOf, wholeNumber } from '../option-parsers.js';
import { note, printing } from '../print.js';
import { facts, table } from '../table.js';

const status = (command: Command): unknown =>
  command.action(
    printing(async (connect) => {
      const api = connect();
      const document = { url: api.url, ...(await api.getStatus()) };
      const { manager, formationInterval, thresholds } = document;
      const lines = facts({
        manager: `${manager.name} (${manager.id}), version ${manager.version}`,
        url: api.url,
        up: duration(manager.uptimeSeconds * 1000),
        functions: manager.capabilities.join(', '),
        agents: countsText(document.agents),
        clusters: countsText(document.clusters),
        operations: countsText(document.operations),
        formation:
          'cron' in formationInterval ? `by "${formationInterval.cron}"` : `every ${formationInterval.everySeconds} s`,
        'cluster size': `${thresholds.clusterSize.min} to ${thresholds.clusterSize.max}`,
      });
      return { document, lines };
    }),
  );

const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ') || 'none';

function token(command: Command): void {
  command
    .command('create')
    .description('create a token; it is printed once and only its hash is stored')
    .requiredOption('--role <role>', `${roles.options.join(', ')}; "agent" makes an enrolment token`)
    .requiredOption('--name <name>', 'what the token is for')
    .option('--expires-in <seconds>', 'when it expires; default: never', wholeNumber(1, 315_360_000))
    .action(
      printing(async (api, { role, name, expiresIn }, self) => {
        const body = { role: oneOf('--role', role, roles.options), name };
        const expiry = defined({ expiresInSeconds: expiresIn });
        const document = await api().createToken({ body: { ...body, ...expiry } });
        const { id, role: given } = document.token;
        note(self, `Token ${id} for ${given} "${document.token.name}". Store it now: it is not shown again.`);
        return { document, lines: [document.secret] };
      }),
    );
  command
    .command('list')
    .description('list tokens, without their secrets')
    .action(
      printing(async (api) => {
        const document = await api().listTokens();
        const lines = table(document.tokens, {
          TOKEN: ({ id }) => id,
          ROLE: ({ role }) => role,
          NAME: ({ name }) => name,
          PREFIX: ({ prefix }) => `${prefix}…`,
          STATE: stateText,
        });
        return { document, lines };
      }),
    );
  command
    .command('revoke <id>')
    .description('revoke a token at once')
    .action(
      printing(async (api, id) => {
        await api().revokeToken({ params: { id } });
        return { document: { token: { id, revoked: true } }, lines: [`Token ${id} is revoked.`] };
      }),
    );
}

function stateText({ revokedAt, expiresAt }: TokenView): string {
  if (revokedAt !== null) return `revoked ${revokedAt}`;
  if (expiresAt === null) return 'valid';
  return Date.parse(expiresAt) <= Date.now() ? `expired ${expiresAt}` : `valid until ${expiresAt}`;
}

const dryRunOption = ['--dry-run', 'only print what it would do'] as const;

function interval(command: Command): void {
  command
    .command('formation')
    .description('retry queued formations, repair clusters below their minimum, release expired reservations')
    .option(...dryRunOption)
    .action(
      printing(async (api, { dryRun = false }) => {
        const document = await api().runFormationInterval({ body: { dryRun } });
        return { document, lines: doneLines(document) };
      }),
    );
  rebalance(command.command('scaling').description('assess, scale and rebalance all clusters'));
}

const rebalance = (command: Command): unknown =>
  command.option(...dryRunOption).action(
    printing(async (api, { dryRun = false }) => {
      const document = await api().runScalingInterval({ body: { dryRun } });
      const { assessed, postponed } = document;
      const rest = postponed > 0 ? `, ${postponed} changes postponed to the next run` : '';
      return { document, lines: [...doneLines(document), `${assessed} clusters assessed${rest}`] };
    }),
  );

const doneLines = ({ lines }: { readonly lines: readonly string[] }): readonly string[] =>
  lines.length === 0 ? ['Nothing to do.'] : lines;

export const commands = { status, token, interval, rebalance };
