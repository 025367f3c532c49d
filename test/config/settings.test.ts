import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseSettings } from '../../src/config/settings.js';

/** The required and optional settings of the specification, verbatim. */
const requiredSettings = `cluster_manager:
  id: "cluster-manager-1"
  name: "ClusterManager"
  capabilities: ["cluster_management", "communication_management", "scaling"]
  relationships: ["orchestrator", "all_agents"]
  databases:
    clusters: "clusters_db"
    communication: "communication_db"
    resources: "resources_db"
`;
const optionalSettings = `  formation_interval: 300
  scaling_interval: 600
  alert_thresholds:
    cluster_size: [3, 10]
    communication_latency: 1000
    resource_usage: 0.8
    stability_score: 0.9
`;

type Tree = Record<string, unknown>;

/** The specification's settings with one key, given by its dotted path below cluster_manager, set to a value or removed. */
function changed(path: string, value: unknown): string {
  const file = parse(requiredSettings + optionalSettings) as { cluster_manager: Tree };
  const keys = path.split('.');
  const section = keys.slice(0, -1).reduce<Tree>((at, key) => (at[key] ??= {}) as Tree, file.cluster_manager);
  const last = keys.at(-1) ?? '';
  if (value === undefined) delete section[last];
  else section[last] = value;
  return stringify(file);
}

const onlyProblem = (text: string) => {
  const { problems } = parseSettings(text);
  expect(problems).toHaveLength(1);
  return `${problems[0]?.path} ${problems[0]?.message}`;
};

describe('the settings file', () => {
  it("the specification's required settings alone are valid, and its optional settings are the defaults", () => {
    const { value: settings, problems } = parseSettings(requiredSettings);
    expect(problems).toEqual([]);
    expect(settings).toMatchObject({
      ...(parse(`x:\n${optionalSettings}`) as { x: Tree }).x,
      agents: { lease: 30, heartbeat_interval: 5 },
      formation: { invitation_timeout: 10, invitation_tries: 3 },
      communication: {
        reach: 'fleet',
        delivery_lease: 30,
        delivery_tries: 5,
        retry_delays: [1, 5, 30, 120, 300],
        max_unacked: 100,
        mailbox: 10_000,
        message_ttl: 3600,
        broadcast_deadline: 30,
        subscription_grace: 120,
        retention: 86_400,
        dead_letter_retention: 1_209_600,
        max_streams: 2000,
        wake_ups: true,
      },
      limits: { body_kib: 256 },
    });
    expect(parseSettings(requiredSettings + optionalSettings).value).toEqual(settings);
  });

  it('the shipped settings file has exactly the settings of the specification', () => {
    const shipped = readFileSync(new URL('../../cluster-manager.yaml', import.meta.url), 'utf8');
    expect(parse(shipped)).toEqual(parse(requiredSettings + optionalSettings));
  });

  it.each<[string, string, string]>([
    ['formation_intervall', 'formation_interval', 'a doubled letter'],
    ['formationInterval', 'formation_interval', 'camel case'],
    ['alert_treshold', 'alert_thresholds', 'two missing letters'],
    ['alert_thresholds.cluster_sise', 'cluster_size', 'a typo one section down'],
    ['databases.cluster', 'clusters', 'singular'],
    ['agents.leese', 'lease', 'a typo in another section'],
    ['communication.max_unaked', 'max_unacked', 'a missing letter in a section with many keys'],
    ['communication.wakeUps', 'wake_ups', 'camel case one section down'],
    ['stability_score', 'cluster_manager.alert_thresholds.stability_score', 'a known key in the wrong section'],
  ])('the settings reject the unknown key %s and suggest %s (%s)', (path, suggestion) => {
    const text = onlyProblem(changed(path, 300));
    expect(text).toContain(`cluster_manager.${path} is not a known key`);
    expect(text).toContain(`did you mean ${suggestion}?`);
  });

  it('the error about an unknown key lists the allowed keys when none is similar', () => {
    expect(onlyProblem(changed('formation.colour', 'red'))).toBe(
      'cluster_manager.formation.colour is not a known key; allowed here: invitation_timeout, invitation_tries (line 25)',
    );
  });

  it.each<[string, unknown, string]>([
    ['id', 'cluster manager', 'is "cluster manager"; allowed: 1 to 128 letters'],
    ['id', 7, 'is 7; allowed: 1 to 128 letters'],
    ['id', undefined, 'is missing; allowed: 1 to 128 letters'],
    ['name', '', 'is empty; allowed: a text of 1 to 200 characters'],
    ['capabilities', [], 'is []; allowed: a list of one or more of cluster_management'],
    ['capabilities', 'scaling', 'is "scaling"; allowed: a list of one or more of'],
    ['capabilities', ['scaling', 'scaling'], 'each once'],
    ['relationships', ['all_agents', 'all_agents'], 'each once'],
    ['databases', undefined, 'is missing; allowed: a section with the keys clusters, communication, resources'],
    ['databases.clusters', 'Clusters DB', 'is "Clusters DB"; allowed: a name of 1 to 63 lower-case letters'],
    ['databases.clusters', 'clusters"; drop table x', 'allowed: a name'],
    ['databases.resources', 'mysql://db/x', 'allowed: a name'],
    ['databases.resources', 'postgres://db', 'allowed: a name'],
    ['formation_interval', 9, 'is 9; allowed: whole seconds from 10'],
    ['formation_interval', 300.5, 'is 300.5; allowed: whole seconds from 10'],
    ['formation_interval', null, 'is empty; allowed: whole seconds from 10'],
    ['formation_interval', '300s', 'as cron, it has 1 fields'],
    ['scaling_interval', '*/5 * * * * *', 'as cron, it has 6 fields'],
    ['scaling_interval', '61 * * * *', 'as cron, its minute "61" is outside 0 to 59'],
    ['alert_thresholds.cluster_size', [10, 3], 'is [10,3]; allowed: a list [min, max]'],
    ['alert_thresholds.cluster_size', [3], 'allowed: a list [min, max]'],
    ['alert_thresholds.cluster_size', 3, 'is 3; allowed: a list [min, max]'],
    ['alert_thresholds.communication_latency', 0, 'is 0; allowed: milliseconds above 0'],
    ['alert_thresholds.communication_latency', '1s', 'is "1s"; allowed: milliseconds above 0'],
    ['alert_thresholds.resource_usage', 80, 'is 80; allowed: a number from 0 to 1'],
    ['alert_thresholds.stability_score', -0.1, 'is -0.1; allowed: a number from 0 to 1'],
    ['agents', { lease: 5, heartbeat_interval: 3 }, 'at least two heartbeat_intervals'],
    ['formation', { invitation_tries: 0 }, 'is 0; allowed: a whole number of tries from 1 to 10'],
    ['communication', { reach: 'world' }, 'is "world"; allowed: fleet or cluster'],
    ['communication', { retry_delays: [] }, 'is []; allowed: a list of one or more whole numbers of seconds'],
    ['communication', { retry_delays: [1, -1] }, 'is -1; allowed: a whole number of seconds from 0 to 86400'],
    ['communication', { retry_delays: 5 }, 'is 5; allowed: a list of one or more whole numbers of seconds'],
    ['communication', { delivery_tries: 0 }, 'is 0; allowed: a whole number of tries from 1 to 100'],
    ['communication', { max_unacked: 1001 }, 'is 1001; allowed: a whole number of deliveries from 1 to 1000'],
    ['communication', { retention: 119 }, 'is 119; allowed: a whole number of seconds from 120 to 31536000'],
    ['communication', { wake_ups: 'off' }, 'is "off"; allowed: true or false'],
    ['limits', { body_kib: 1e6 }, 'is 1000000; allowed: a whole number of KiB from 1 to 10240'],
  ])('the settings reject %s = %j', (path, value, message) => {
    const text = onlyProblem(changed(path, value));
    expect(text).toMatch(new RegExp(`^cluster_manager\\.${path.replace('.', '\\.')}`));
    expect(text).toContain(message);
  });

  it.each([
    ['cluster_size', [0, 10], 'cluster_size.0 is 0'],
    ['cluster_size', [3, 1001], 'cluster_size.1 is 1001'],
  ])('the error about %s = %j names the bound that is out of range', (key, value, message) => {
    expect(onlyProblem(changed(`alert_thresholds.${key}`, value))).toContain(message);
  });

  it.each<[string, unknown]>([
    ['databases.clusters', 'postgres://clusters@db.internal:5432/clusters_db?sslmode=verify-full'],
    ['formation_interval', 10],
    ['formation_interval', '0 3 * * mon-fri'],
    ['alert_thresholds.cluster_size', [1, 1000]],
    ['alert_thresholds.communication_latency', 0.5],
    ['alert_thresholds.resource_usage', 1],
  ])('the settings accept %s = %j', (path, value) => {
    expect(parseSettings(changed(path, value)).problems).toEqual([]);
  });

  it.each(['postgres://ada:hush-hush@db/clusters_db', 'postgres://ada@db/clusters_db?password=hush-hush'])(
    'the settings file rejects a password without repeating it: %s',
    (url) => {
      const text = onlyProblem(changed('databases.clusters', url));
      expect(text).toContain('Secrets come from the environment only');
      expect(text).not.toContain('hush-hush');
    },
  );

  it('the settings report every problem at once, each with its line', () => {
    const text =
      requiredSettings.replace('name: "ClusterManager"', 'nam: "ClusterManager"') + '  scaling_interval: 1\n';
    expect(parseSettings(text).problems).toEqual([
      { path: 'cluster_manager.name', message: 'is missing; allowed: a text of 1 to 200 characters (line 1)' },
      { path: 'cluster_manager.scaling_interval', message: expect.stringMatching(/^is 1; .*\(line 10\)$/) as string },
      { path: 'cluster_manager.nam', message: 'is not a known key; did you mean name? (line 3)' },
    ]);
  });

  it.each([
    ['a key written twice', `${requiredSettings}  id: other\n`, 'line 10', 'unique'],
    [
      'a bracket left open',
      `${requiredSettings}  alert_thresholds: {cluster_size: [3, 10\n`,
      'line 11',
      'is not valid YAML',
    ],
    ['a tab for indentation', `${requiredSettings}\tscaling_interval: 600\n`, 'line 10', 'is not valid YAML'],
  ])('the settings reject %s and name its line', (_what, text, line, message) => {
    const { problems, value: settings } = parseSettings(text);
    expect(settings).toBeUndefined();
    expect(problems.map((p) => `${p.path} ${p.message}`).join('\n')).toContain(message);
    expect(problems.map((p) => p.path)).toContain(line);
  });

  it.each(['', 'just words', '- a\n- list\n'])('the settings reject %j as not a settings file', (text) => {
    expect(parseSettings(text).problems).toMatchObject([
      { path: 'the file', message: expect.stringContaining('a section with the keys cluster_manager') as string },
    ]);
  });
});
