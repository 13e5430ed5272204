/** Checks that servers and agents share. Pure. */
import { pass, refuse, type Verdict } from '../../engine/index.ts';
import type { Architecture } from '../cluster/system.ts';
import type { NodeVars } from './config.ts';
import { badSettings } from './flags.ts';
import { imagesName } from './install.ts';
import { RELEASE_FILE, type Release, releaseNames } from './release.ts';
import type { Settings } from './state.ts';

/** Are the keys of k3s_config ones that k3s knows and that are the user's to set? */
export function settingsVerdict(config: Settings): Verdict {
  const bad = badSettings(config);
  const keys = Object.keys(config).length;
  if (bad.length === 0) return pass('k3s-config', `${keys} settings in k3s_config, all known`);
  return refuse('k3s-config', {
    evidence: bad.map(({ key }) => key).join(', '),
    what: bad.map(({ what }) => what).join('; '),
    hint: bad.map(({ hint }) => hint).join('; '),
  });
}

/**
 * Has the release the files for this architecture, by its lists of checksums? A mirror may have some architectures
 * only.
 */
export function filesVerdict(release: Release, arch: Architecture, vars: NodeVars): Verdict {
  if (!release.ok || arch === 'other' || vars.k3s_binary !== undefined) return pass('k3s-files', 'not looked for');
  const names = [`k3s${releaseNames[arch].suffix}`, ...(vars.k3s_airgap_images ? [imagesName(arch)] : [])];
  const missing = names.filter((name) => release.sums[name] === undefined).join(', ');
  if (missing === '') return pass('k3s-files', names.join(', '));
  return refuse('k3s-files', {
    evidence: `no ${missing} among the checksums of ${release.version}`,
    what: `${vars.k3s_mirror} has not all of ${release.version} for ${arch}`,
    expected: `a mirror with ${names.join(', ')} and their lines in sha256sum-${releaseNames[arch].arch}.txt`,
    hint:
      `complete the mirror, and remove ${RELEASE_FILE} on the servers, where it keeps an earlier answer; k3s_binary and ` +
      'k3s_image_archives push files from here instead',
  });
}
