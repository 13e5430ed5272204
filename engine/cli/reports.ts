/** Reports for machines, made from a run's events when it is over: JSON (docs/events.md) and JUnit. */
import { formatPosition, formatProblem, type UserError } from '../errors.ts';
import { maskProblem } from '../event-masking.ts';
import type { RunEvent } from '../events.ts';

const XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>';

type Finished = Extract<RunEvent, { type: 'task-finished' }>;
type VerdictEvent = Extract<RunEvent, { type: 'verdict' }>;

/** The lists of a JSON report: its key for each type of event. What has none is in the record of the run. */
const LISTS: Readonly<Record<RunEvent['type'], string | undefined>> = {
  'task-finished': 'tasks',
  verdict: 'verdicts',
  'host-unreachable': 'unreachable',
  'host-failed': 'failed',
  'health-check-failed': 'healthChecksFailed',
  warning: 'warnings',
  'host-connected': 'connected',
  'phase-finished': 'phases',
  // In the object itself.
  'run-started': undefined,
  'run-finished': undefined,
  interrupted: undefined,
  // Beginnings of what is listed, and details.
  'checks-started': undefined,
  'play-started': undefined,
  'batch-started': undefined,
  'stage-started': undefined,
  'task-started': undefined,
  'task-output': undefined,
  script: undefined,
};

/**
 * One object: the run and its recap, and lists of tasks, verdicts, hosts that dropped out, warnings and costs
 * (docs/events.md).
 */
export function jsonReport(events: readonly RunEvent[]): string {
  const started = events.find((event) => event.type === 'run-started');
  const finished = events.find((event) => event.type === 'run-finished');
  const lists = Object.entries(LISTS).flatMap(([type, key]) =>
    key === undefined ? [] : [[key, events.filter((event) => event.type === type)]],
  );
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
      interrupted: events.some((event) => event.type === 'interrupted'),
      ...Object.fromEntries(lists),
    },
    undefined,
    2,
  );
}

/**
 * A suite for each role and stage, a case for each host and task; suites `checks`, `hosts` and `locks` for the rest.
 */
export function junitReport(events: readonly RunEvent[]): string {
  const suites = new Map<string, string[]>();
  for (const event of events) {
    const of = suiteAndCase(event);
    if (of) suites.set(of.suite, [...(suites.get(of.suite) ?? []), of.testcase]);
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

/** What an event is in a JUnit report; undefined where it is nothing that succeeds or fails. */
function suiteAndCase(event: RunEvent): { readonly suite: string; readonly testcase: string } | undefined {
  switch (event.type) {
    case 'task-finished':
      return { suite: `${event.task.role}.${event.task.stage}`, testcase: taskCase(event) };
    case 'verdict':
      return { suite: 'checks', testcase: verdictCase(event) };
    case 'host-unreachable':
    case 'host-failed':
      return { suite: 'hosts', testcase: failedCase('hosts', event.host, formatProblem(event.problem)) };
    case 'health-check-failed': {
      const name = `${event.host}: ${event.lock}`;
      return { suite: 'locks', testcase: failedCase('locks', name, `the health check of lock ${event.lock} failed`) };
    }
    case 'run-started':
    case 'host-connected':
    case 'checks-started':
    case 'play-started':
    case 'batch-started':
    case 'stage-started':
    case 'phase-finished':
    case 'task-started':
    case 'task-output':
    case 'script':
    case 'warning':
    case 'interrupted':
    case 'run-finished':
      return undefined;
    default:
      return event satisfies never;
  }
}

/** The report where there was no run, because something was wrong before: the same shapes, with the problems. */
export function problemReport(format: 'json' | 'junit', error: UserError): string {
  const { exitCode } = error;
  const problems = error.problems.map(maskProblem);
  if (format === 'json') return JSON.stringify({ exitCode, problems }, undefined, 2);
  const cases = problems.map((problem) => {
    const name = problem.at ? formatPosition(problem.at) : problem.what;
    return `    ${failedCase('input', name, formatProblem(problem))}`;
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

const failedCase = (suite: string, name: string, message: string): string =>
  `<testcase classname="${suite}" name="${escapeXml(name)}" time="0">${failureElement(message, '')}</testcase>`;

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
