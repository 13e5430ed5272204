/** Checks of a server before anything is changed anywhere, from its facts. Pure. */
import { pass, refuse, type Verdict, warn } from '../../engine/index.ts';
import type { ServerVars } from '../k3s/config.ts';
import { criticalDifferences } from '../k3s/flags.ts';
import { noRelease } from '../k3s/install.ts';
import { compareVersions, type Release, skipsMinor, wantedVersion } from '../k3s/release.ts';
import type { K3sState, Settings } from '../k3s/state.ts';
import type { Decision } from './decision.ts';
import { quorumWords } from './decision.ts';

/** A decision as a verdict. */
export function decisionVerdict(decision: Decision): Verdict {
  switch (decision.kind) {
    case 'refuse':
      return refuse(decision.id, decision);
    case 'init':
      return pass('split-brain', 'no server has a cluster: this one begins it');
    case 'join':
      return pass(
        'split-brain',
        `${decision.via} ${decision.clusterExists ? 'has a cluster' : 'begins the cluster'}: this one joins it`,
      );
    case 'member':
      return pass('split-brain', 'has the data of the cluster');
  }
}

/** Is the number of servers a sensible one? Says how many may be lost, before any server is changed. */
export function numberVerdict(count: number): Verdict {
  if (count % 2 === 1) return pass('server-count', quorumWords(count));
  return warn('server-count', {
    evidence: quorumWords(count),
    what: `an even number of servers can lose no more than ${count - 1} servers can, and one more may fail`,
    expected: '1, 3, 5 or 7 servers',
  });
}

/** Must the flags of two servers be alike, and are they? `there` is another server's name and settings. */
export function flagsVerdict(here: Settings, others: ReadonlyMap<string, Settings>): Verdict {
  for (const [name, there] of others) {
    const differing = criticalDifferences(here, there);
    if (differing.length === 0) continue;
    const list = differing.map(({ flag, here: a, there: b }) => `${flag} is ${a} here, ${b} on ${name}`).join('; ');
    return refuse('k3s-flags', {
      evidence: list,
      what: `${differing.map(({ flag }) => flag).join(', ')} must be the same on all servers, and k3s would refuse the join`,
      hint:
        'set it for all servers at one place: k3s_config in group_vars/k3s_cluster.yml, not in host_vars, or the same k3s_config ' +
        'that the running servers have',
    });
  }
  return pass(
    'k3s-flags',
    others.size > 0 ? `the same as on ${[...others.keys()].join(', ')}` : 'no other server to compare with',
  );
}

/** May the binary be replaced by this release? What is pushed from here is of k3s_version (install.ts looks). */
export function versionVerdict(state: K3sState, release: Release, vars: ServerVars): Verdict {
  if (vars.k3s_binary !== undefined && vars.k3s_channel !== undefined) {
    return refuse('k3s-release', {
      evidence: `k3s_binary: ${vars.k3s_binary}, k3s_channel: ${vars.k3s_channel}`,
      what: 'a file that is pushed from here follows no channel',
      hint: 'take one of the two out; k3s_version says which release the file is',
    });
  }
  const pushed = vars.k3s_binary !== undefined;
  if (!pushed && !release.ok) {
    const finding = { evidence: vars.k3s_mirror, ...noRelease(vars, release.why) };
    // A minimal host gets curl first; then the release is looked up again, before anything else.
    return release.why.includes('neither curl nor wget')
      ? warn('k3s-release', finding)
      : refuse('k3s-release', finding);
  }
  const version = wantedVersion(release, vars);
  const where = pushed ? `, pushed from ${vars.k3s_binary}` : '';
  const chosen = vars.k3s_channel ? `channel ${vars.k3s_channel} is ${version}` : `${version}${where}`;
  if (state.version === undefined) return pass('k3s-release', chosen);
  if (compareVersions(version, state.version) < 0) {
    return refuse('k3s-release', {
      evidence: `${state.version} is installed, ${chosen} is wanted`,
      what: 'k3s does not go back to an older version on the same data',
      hint: `k3s_version: ${state.version}, or restore a snapshot of the older version`,
    });
  }
  if (skipsMinor(state.version, version)) {
    return refuse('k3s-release', {
      evidence: `${state.version} is installed, ${chosen} is wanted`,
      what: 'an upgrade goes through every minor version',
      hint: 'upgrade to the last release of each minor version in turn',
    });
  }
  return pass('k3s-release', chosen);
}
