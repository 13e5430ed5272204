/** Checks that servers and agents share. Pure. */
import { pass, refuse, type Verdict } from '../../engine/index.ts';
import { badSettings } from './flags.ts';
import type { Settings } from './state.ts';

/** Are the keys of k3s_config ones that k3s knows and that are the user's to set? */
export function settingsVerdict(config: Settings): Verdict {
  const bad = badSettings(config);
  const keys = Object.keys(config).length;
  if (bad.length === 0) return pass('k3s-config', `${keys} settings in k3s_config, all known`);
  return refuse('k3s-config', {
    evidence: bad.map(({ key }) => key).join(', '),
    what: bad.map(({ what }) => what).join('; '),
    tryThis: bad.map(({ tryThis }) => tryThis).join('; '),
  });
}
