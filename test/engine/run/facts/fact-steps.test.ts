import t from 'tap';
import { fact, fromEach } from '../../../../engine/fact.ts';
import type { HostView } from '../../../../engine/host-view.ts';
import { FactSteps } from '../../../../engine/run/facts/fact-steps.ts';
import { sh } from '../../../../engine/script.ts';

const hosts = Array.from(
  { length: 60 },
  (_, i): HostView => ({ name: `node-${i}`, address: `192.0.2.${i}`, port: 22, groups: ['all'], var: () => undefined }),
);

/** The answers of every host, as the session gives them. */
const resultsOf = (steps: FactSteps) =>
  new Map(
    [...steps.byHost].map(([host, batch]) => [
      host,
      batch.map(({ id }) => ({
        id,
        outcome: 'ran' as const,
        exitCode: 0,
        stdout: Buffer.from(host),
        stderr: Buffer.from(''),
        truncated: false,
        duration: 0,
        arrived: 0,
      })),
    ]),
  );

t.test('a fact that is declared anew for every host that asks is asked once and parsed once', async (t) => {
  let parsed = 0;
  const declared = () =>
    fact({
      name: 'name',
      script: sh`uname -n`,
      parse: ({ stdout }) => {
        parsed++;
        return stdout;
      },
      example: '',
    });
  const requests = new Map(hosts.map(({ name }) => [name, { names: fromEach(hosts, declared()) }]));
  const steps = new FactSteps();
  for (const [asker, wanted] of requests) steps.add(asker, wanted);
  for (const batch of steps.byHost.values()) t.equal(batch.length, 1);
  const results = resultsOf(steps);
  for (const [asker, wanted] of requests) {
    const answers = steps.answers(asker, wanted, results, new Map());
    if (!answers.ok) throw new Error(answers.missing.why);
    t.same(answers.facts['names'], new Map(hosts.map(({ name }) => [name, name])));
  }
  t.equal(parsed, hosts.length);
});

t.test('two facts with one script and two names are asked once, and each is parsed in its own way', async (t) => {
  const name = fact({ name: 'name', script: sh`uname -n`, parse: ({ stdout }) => stdout, example: '' });
  const length = fact({ name: 'length', script: sh`uname -n`, parse: ({ stdout }) => stdout.length, example: 0 });
  const steps = new FactSteps();
  steps.add('node-1', { name, length });
  t.equal(steps.byHost.get('node-1')?.length, 1);
  const answers = steps.answers('node-1', { name, length }, resultsOf(steps), new Map());
  t.match(answers, { ok: true, facts: { name: 'node-1', length: 6 } });
});
