/** Variables of servers and agents alike. */
import type { VarsSchema } from '../../engine/index.ts';
import { clusterVars } from '../cluster/vars.ts';

/** What both roles read. */
export const k3sVars = {
  ...clusterVars,
  k3s_version: {
    type: 'string',
    pattern: '^v[0-9]+\\.[0-9]+\\.[0-9]+\\+k3s[0-9]+$',
    description:
      'The release of k3s. Another one here is an upgrade: servers first, one at a time, then agents. Downgrades and skipped ' +
      'minor versions are refused. Ignored where k3s_channel is set.',
    default: 'v1.36.2+k3s1',
  },
  k3s_channel: {
    type: 'string',
    description:
      'Follow a release channel instead of k3s_version: `stable`, `latest`, or a minor version. Looked up once, by the first ' +
      'server; the other nodes get what that server got.',
    examples: ['stable', 'v1.36'],
  },
  k3s_channel_url: {
    type: 'string',
    format: 'url',
    description: 'Where channels are looked up.',
    default: 'https://update.k3s.io/v1-release/channels',
  },
  k3s_mirror: {
    type: 'string',
    format: 'url',
    description:
      'Where releases are downloaded from: anything laid out like the release page, a directory per version (its `+` as %2B) ' +
      'with k3s, k3s-arm64, sha256sum-amd64.txt and so on in it.',
    default: 'https://github.com/k3s-io/k3s/releases/download',
    examples: ['http://192.168.2.1:8080/k3s'],
  },
  k3s_binary: {
    type: 'string',
    description:
      'Push this file of the controller to the nodes as k3s, instead of downloading: for nodes without internet. `{suffix}` in ' +
      'it becomes nothing on AMD64, `-arm64` or `-armhf` elsewhere, as the release page names them. It must be of k3s_version.',
    examples: ['files/k3s{suffix}'],
  },
  k3s_download_from_peers: {
    type: 'boolean',
    description:
      'Of the nodes that lack a release, one of each architecture downloads it; the others get it from that one, through this ' +
      'computer. For nodes that share a slow line to the internet, run from a computer near them.',
    default: false,
  },
  k3s_airgap_images: {
    type: 'boolean',
    description: "Also download the release's archive of container images, so that nodes need no registry.",
    default: false,
  },
  k3s_image_archives: {
    type: 'array',
    items: { type: 'string', description: 'A file of the controller.' },
    description:
      'Image archives (.tar, .tar.zst, .tar.gz) of the controller, pushed to every node, where k3s imports them. `{arch}` in a ' +
      'path becomes amd64, arm64 or arm. Without internet: the archive of the release, and one with the kube-vip image.',
    default: [],
    examples: [['files/k3s-airgap-images-{arch}.tar.zst', 'files/kube-vip-{arch}.tar']],
  },
  k3s_token: {
    type: 'string',
    secret: true,
    minLength: 16,
    description:
      'The password that nodes join with. Unset: the first server makes one, and the others read it from there. It cannot be ' +
      'changed here once the cluster is there.',
  },
  k3s_config: {
    type: 'object',
    description:
      "Further settings of k3s, by the names of its flags, written to every node's config.yaml; agents get those that " +
      'agents know. Settings that have a variable of their own do not belong here.',
    default: {},
    examples: [{ disable: ['traefik'], 'kubelet-arg': ['max-pods=200'] }],
  },
  k3s_start_timeout: {
    type: 'integer',
    minimum: 30,
    description:
      'Seconds that k3s may take from its start until it is ready, and a new server until it votes. SD cards need more than ' +
      'disks.',
    default: 300,
  },
} as const satisfies VarsSchema['properties'];

/** What servers read besides. */
export const k3sServerVars = {
  k3s_tls_san: {
    type: 'array',
    items: { type: 'string', description: 'A host name or an address.' },
    description:
      'Further names and addresses by which clients call the API: they go into its certificate. kube_vip_address and the ' +
      'node addresses are in it by themselves.',
    default: [],
    examples: [['k3s.example.org']],
  },
} as const satisfies VarsSchema['properties'];
