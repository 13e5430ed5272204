/**
 * The tasks that every tool carries out: 60 mixed ones, or five large files. This is their one definition. `render/`
 * writes them down for each tool, `state.ts` describes a host where they are done. All are of kinds that every tool
 * has.
 */
import { createHash } from 'node:crypto';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { benchPath } from './paths.ts';

/** One task. Owner and group are root everywhere. */
export type BenchTask =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: string }
  | { readonly kind: 'file'; readonly path: string; readonly mode: string; readonly content: string }
  | {
      readonly kind: 'template';
      readonly path: string;
      readonly mode: string;
      readonly data: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'absent'; readonly path: string }
  | { readonly kind: 'unit'; readonly name: string }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'command'; readonly script: string; readonly creates: string; readonly leaves: string }
  | { readonly kind: 'copy'; readonly path: string; readonly mode: string; readonly from: string };

/** The folder of everything but system files. */
const ROOT = '/srv/bench';

/** The template of all template tasks. These braces mean the same in Handlebars and Jinja. */
export const TEMPLATE = `# {{ service }}, written by the bench
[service]
name = {{ service }}
listen = 127.0.0.1:{{ port }}
workers = {{ workers }}
memory = {{ memory }}
log = ${ROOT}/log/{{ service }}.log

[limits]
${Array.from({ length: 12 }, (_, i) => `limit_${i} = {{ workers }}`).join('\n')}
`;

/** {@link TEMPLATE} with its names filled in. */
export function filledIn(data: Readonly<Record<string, string>>): string {
  return TEMPLATE.replaceAll(/\{\{ (\w+) \}\}/g, (_, name: string) => data[name] ?? '');
}

/** A task's name, the same for all tools. */
export function titleOf(task: BenchTask): string {
  return `${task.kind} ${'path' in task ? task.path : 'name' in task ? task.name : task.creates}`;
}

/** 60 tasks of eight kinds, much like a role for a small service. */
export function mixedTasks(): readonly BenchTask[] {
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  const directories = ['', '/bin', '/conf', '/data', '/log', '/run', '/spool', '/private'].map(
    (name): BenchTask => ({
      kind: 'directory',
      path: `${ROOT}${name}`,
      mode: name === '/private' ? '0700' : '0755',
    }),
  );
  const files: readonly BenchTask[] = [
    ...numbers(8).map(
      (n): BenchTask => ({
        kind: 'file',
        path: `${ROOT}/conf/part-${n}.conf`,
        mode: n % 2 === 0 ? '0640' : '0644',
        content: `# part ${n}, written by the bench\n${numbers(25)
          .map((line) => `setting_${line} = ${n * line}\n`)
          .join('')}`,
      }),
    ),
    ...numbers(4).map(
      (n): BenchTask => ({
        kind: 'file',
        path: `${ROOT}/bin/tool-${n}`,
        mode: '0755',
        content: `#!/bin/sh\n# tool ${n}, written by the bench\nset -eu\necho "tool ${n}: $*"\n`,
      }),
    ),
    ...numbers(3).map(
      (n): BenchTask => ({
        kind: 'file',
        path: `/etc/sysctl.d/90-bench-${n}.conf`,
        mode: '0644',
        content: `# written by the bench, never loaded by it\nvm.swappiness = ${50 + n}\n`,
      }),
    ),
    ...numbers(2).map(
      (n): BenchTask => ({
        kind: 'file',
        path: `${ROOT}/private/token-${n}`,
        mode: '0600',
        content: `not a secret ${n}\n`,
      }),
    ),
    ...numbers(3).map(
      (n): BenchTask => ({
        kind: 'file',
        path: `/etc/systemd/system/bench-${n}.service`,
        mode: '0644',
        content: `[Unit]\nDescription=Bench ${n}\n\n[Service]\nType=oneshot\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n`,
      }),
    ),
  ];
  const templates = numbers(8).map(
    (n): BenchTask => ({
      kind: 'template',
      path: `${ROOT}/conf/service-${n}.ini`,
      mode: '0644',
      data: { service: `service-${n}`, port: `${8000 + n}`, workers: `${n}`, memory: `${64 * n}M` },
    }),
  );
  const links = numbers(6).map(
    (n): BenchTask => ({
      kind: 'link',
      path: `${ROOT}/run/current-${n}`,
      target: `${ROOT}/conf/part-${n}.conf`,
    }),
  );
  const gone = numbers(5).map((n): BenchTask => ({ kind: 'absent', path: `/srv/bench-old-${n}.conf` }));
  const units = numbers(3).map((n): BenchTask => ({ kind: 'unit', name: `bench-${n}.service` }));
  // Every host has them already: a download would measure the mirror.
  const packages = ['curl', 'socat', 'procps', 'iproute2'].map((name): BenchTask => ({ kind: 'package', name }));
  const commands = numbers(6).map(
    (n): BenchTask => ({
      kind: 'command',
      script: `printf 'made %s\\n' ${n} > ${ROOT}/data/made-${n}`,
      creates: `${ROOT}/data/made-${n}`,
      leaves: `made ${n}\n`,
    }),
  );
  return [...directories, ...files, ...templates, ...links, ...gone, ...units, ...packages, ...commands];
}

/** The file that is changed behind the tools' backs, so that one of the 60 tasks has something to do. */
export const DRIFTED = `${ROOT}/conf/part-5.conf`;

const LARGE_FILES = [1, 2, 3, 4, 5];

/** The size of each, in bytes. */
const LARGE = 20 * 1000 * 1000;

/** Five files of 20 MB. {@link writeLargeFiles} writes them first. */
export function largeFileTasks(): readonly BenchTask[] {
  return LARGE_FILES.map((n) => ({
    kind: 'copy',
    path: `/srv/bench-large-${n}`,
    mode: '0644',
    from: largeFile(n),
  }));
}

const largeFile = (n: number): string => benchPath('files', `large-${n}`);

/**
 * Writes the large files where they are missing: hashes of a counter, so bytes that do not compress and are the same
 * everywhere.
 */
export function writeLargeFiles(): void {
  for (const n of LARGE_FILES) {
    const path = largeFile(n);
    if (existsSync(path) && statSync(path).size === LARGE) continue;
    const blocks: Buffer[] = [];
    for (let size = 0; size < LARGE; size += 64) blocks.push(createHash('sha512').update(`${n} ${size}`).digest());
    writeFileSync(path, Buffer.concat(blocks).subarray(0, LARGE));
  }
}
