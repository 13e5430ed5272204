/** Reports for machines, made from a run's events when it is over: JSON (docs/events.md) and JUnit. */
import { formatPosition, formatProblem, type UserError } from '../errors.ts';
import type { RunEvent } from '../events.ts';
import { maskData } from '../secret.ts';

const XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>';

type Finished = Extract<RunEvent, { type: 'task-finished' }>;
type VerdictEvent = Extract<RunEvent, { type: 'verdict' }>;

/** One object: the run, its recap, every task with its outcome, every verdict, every host that dropped out, what every connection and phase cost. */
export function jsonReport(events: readonly RunEvent[]): string {
  const of = <T extends RunEvent['type']>(type: T) =>
    events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
  const [started] = of('run-started');
  const [finished] = of('run-finished');
  return JSON.stringify(
    {
      run: started?.run,
      playbook: started?.playbook,
      mode: started?.mode,
      started: started?.time,
      startUp: started?.startUp,
      ms: finished?.ms,
      exitCode: finished?.exitCode,
      recap: finished?.recap,
      tasks: of('task-finished'),
      verdicts: of('verdict'),
      unreachable: of('host-unreachable'),
      failed: of('host-failed'),
      disruptionsStopped: of('health-check-failed'),
      warnings: of('warning'),
      interrupted: of('interrupted').length > 0,
      connected: of('host-connected'),
      phases: of('phase-finished'),
    },
    undefined,
    2,
  );
}

/** A test suite per role and stage, a test case per host and task. Verdicts are cases of the suite `checks`. */
export function junitReport(events: readonly RunEvent[]): string {
  const suites = new Map<string, string[]>();
  const add = (suite: string, testcase: string): void => {
    suites.set(suite, [...(suites.get(suite) ?? []), testcase]);
  };
  for (const event of events) {
    if (event.type === 'task-finished') add(`${event.task.role}.${event.task.stage}`, taskCase(event));
    if (event.type === 'verdict') add('checks', verdictCase(event));
    if (event.type === 'host-unreachable' || event.type === 'host-failed') {
      const problem = failureElement(formatProblem(event.problem), '');
      add('hosts', `<testcase classname="hosts" name="${escapeXml(event.host)}" time="0">${problem}</testcase>`);
    }
  }
  const xml = [...suites].map(([name, cases]) => {
    const failures = cases.filter((testcase) => testcase.includes('<failure')).length;
    return [
      `  <testsuite name="${escapeXml(name)}" tests="${cases.length}" failures="${failures}">`,
      ...cases.map((testcase) => `    ${testcase}`),
      '  </testsuite>',
    ].join('\n');
  });
  return [XML_HEAD, '<testsuites>', ...xml, '</testsuites>'].join('\n');
}

/** What is reported instead when there was no run, for something was wrong before: the same shapes, with the problems. */
export function problemReport(format: 'json' | 'junit', error: UserError): string {
  const { exitCode } = error;
  const problems = maskData(error.problems);
  if (format === 'json') return JSON.stringify({ exitCode, problems }, undefined, 2);
  const cases = problems.map((problem) => {
    const name = escapeXml(problem.at ? formatPosition(problem.at) : problem.what);
    return `    <testcase classname="input" name="${name}" time="0">${failureElement(formatProblem(problem), '')}</testcase>`;
  });
  const suite = `  <testsuite name="input" tests="${cases.length}" failures="${cases.length}">`;
  return [XML_HEAD, '<testsuites>', suite, ...cases, '  </testsuite>', '</testsuites>'].join('\n');
}

function taskCase({ host, task, status, ms, failure }: Finished): string {
  const open = `<testcase classname="${escapeXml(`${task.role}.${task.stage}`)}" name="${escapeXml(`${host}: ${task.name}`)}" time="${ms / 1000}"`;
  if (failure && status === 'failed') return `${open}>${failureElement(failure.what, failure.stderr)}</testcase>`;
  if (status === 'skipped' || status === 'not run') return `${open}><skipped/></testcase>`;
  return `${open}/>`;
}

function verdictCase({ host, check, verdict, evidence, problem }: VerdictEvent): string {
  const open = `<testcase classname="checks" name="${escapeXml(`${host}: ${check}`)}" time="0"`;
  return verdict === 'refuse' ? `${open}>${failureElement(problem?.what ?? check, evidence)}</testcase>` : `${open}/>`;
}

const failureElement = (message: string, text: string): string =>
  `<failure message="${escapeXml(message)}">${escapeXml(text)}</failure>`;

function escapeXml(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // Characters that XML 1.0 cannot hold at all.
      .replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '?')
  );
}
