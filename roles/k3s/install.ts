/** The tasks that install k3s on a node without starting it: binary, images, links. */
import { type Resource, refuse, sh, type Task, type TaskOptions, task, UserError } from '../../engine/index.ts';
import { copy } from '../../engine/resources/copy.ts';
import { directory } from '../../engine/resources/directory.ts';
import { download } from '../../engine/resources/download.ts';
import { link } from '../../engine/resources/link.ts';
import type { Architecture } from '../cluster/system.ts';
import type { NodeVars } from './config.ts';
import { DATA } from './etcd.ts';
import { type Release, releaseNames, releaseUrl } from './release.ts';
import { type K3sState, LINKS } from './state.ts';
import { unavailable } from './token.ts';

/** Where k3s is. */
export const BINARY = '/usr/local/bin/k3s';

/** What installing needs to know. */
export interface InstallContext {
  readonly vars: NodeVars;
  readonly arch: Architecture;
  readonly release: Release;
  readonly state: K3sState;
  /** The handler of changes that a running k3s needs a restart for. */
  readonly restart: Pick<TaskOptions, 'notify'>;
}

/** The tasks, in order. */
export function installTasks(context: InstallContext): readonly Task[] {
  const { vars, arch, state, restart } = context;
  if (arch === 'other') {
    const finding = {
      evidence: 'uname -m',
      what: 'k3s has no release for this architecture',
      expected: 'AMD64, ARM64, ARMv7',
    };
    return [task('Choose the release for this architecture', refuse('k3s-architecture', finding))];
  }
  const images = imageTasks(context, arch);
  return [
    task('Install the k3s binary', binary(context, arch), { ...restart, tags: ['binary'] }),
    ...LINKS.map((name) =>
      task(`Link ${name} to k3s`, link({ path: `/usr/local/bin/${name}`, target: 'k3s' }), {
        // As the official installer does: a command that the host has already stays.
        when: !state.taken.includes(name),
        tags: ['binary'],
      }),
    ),
    task('Make the directory for settings', directory({ path: '/etc/rancher/k3s', mode: '0755' })),
    ...(images.length > 0
      ? [task('Make the directory for images', directory({ path: `${DATA}/agent/images`, mode: '0755' })), ...images]
      : []),
    ...(vars.k3s_binary === undefined &&
    context.release.ok &&
    vars.k3s_airgap_images &&
    !hasImages(context.release, arch)
      ? [noImages(context.release.version, arch)]
      : []),
  ];
}

function binary({ vars, release, restart: _, ...rest }: InstallContext, arch: keyof typeof releaseNames): Resource {
  const { suffix, arch: archName } = releaseNames[arch];
  if (vars.k3s_binary !== undefined) {
    return copy({
      path: BINARY,
      from: vars.k3s_binary.replaceAll('{suffix}', suffix),
      mode: '0755',
      // The version of the file is not known here: it may be for another architecture.
      validate: (candidate) => sh`
hw_is=$(${candidate} --version 2>&1 | sed -n '1s/^k3s version \([^ ]*\).*/\1/p')
[ "$hw_is" = ${vars.k3s_version} ] || {
  echo ${`k3s_binary must be k3s_version, ${vars.k3s_version}; it is`} "\${hw_is:-no k3s that runs here}" >&2; exit 1; }`,
    });
  }
  const name = `k3s${suffix}`;
  const sum = release.ok ? release.sums[name] : undefined;
  if (release.ok && sum) {
    return download({
      path: BINARY,
      url: releaseUrl(vars.k3s_mirror, release.version, name),
      sha256: sum,
      mode: '0755',
      fromPeers: vars.k3s_download_from_peers,
    });
  }
  const why = release.ok ? `sha256sum-${archName}.txt has no line for ${name}` : release.why;
  return unavailable(
    sh`echo ${`no checksum for ${name}: ${why}`} >&2; exit 1`,
    {
      id: `checksum of ${name}`,
      unless: sh`[ -x ${BINARY} ] && [ ${rest.state.version ?? ''} = ${vars.k3s_version} ]`,
    },
    noRelease(vars, why),
  );
}

/** Why there is no release to install, and what to do. */
export function noRelease(vars: Pick<NodeVars, 'k3s_mirror'>, why: string) {
  return {
    what: `the checksums of the release could not be had: ${why}`,
    hint:
      `is ${vars.k3s_mirror} reachable from the servers, and laid out like the release page? Without internet: k3s_mirror ` +
      'names a mirror, k3s_binary pushes the file from here',
  };
}

function hasImages(release: Release & { ok: true }, arch: keyof typeof releaseNames): boolean {
  return release.sums[imagesName(arch)] !== undefined;
}

/** The release page's name of the archive of images. */
export const imagesName = (arch: keyof typeof releaseNames): string =>
  `k3s-airgap-images-${releaseNames[arch].arch}.tar.zst`;

function noImages(version: string, arch: keyof typeof releaseNames): Task {
  return task(
    'Find the archive of images',
    refuse('k3s-images', {
      evidence: `no ${imagesName(arch)} among the checksums of ${version}`,
      what: 'the mirror has no archive of images for this architecture',
      hint: 'k3s_airgap_images: false, or k3s_image_archives with archives of your own',
    }),
  );
}

function imageTasks({ vars, release }: InstallContext, arch: keyof typeof releaseNames): readonly Task[] {
  const pushed = vars.k3s_image_archives.map((path) => {
    const from = path.replaceAll('{arch}', releaseNames[arch].arch);
    const name = from.split('/').at(-1) ?? '';
    if (!/\.tar(\.(gz|zst|lz4|bz2))?$/.test(name)) {
      throw new UserError({
        what: `k3s_image_archives: ${path} is no image archive`,
        expected: '.tar, .tar.zst, .tar.gz',
      });
    }
    return task(`Push the images in ${name}`, copy({ path: `${DATA}/agent/images/${name}`, from }), {
      tags: ['images'],
    });
  });
  const name = imagesName(arch);
  const sum = release.ok ? release.sums[name] : undefined;
  if (!vars.k3s_airgap_images || !release.ok || !sum) return pushed;
  const url = releaseUrl(vars.k3s_mirror, release.version, name);
  const archive = download({
    path: `${DATA}/agent/images/${name}`,
    url,
    sha256: sum,
    fromPeers: vars.k3s_download_from_peers,
  });
  return [task('Download the images of the release', archive, { tags: ['images'] }), ...pushed];
}
