/** Variables of the role kube-vip. */
import type { VarsSchema } from '../../engine/index.ts';
import { clusterVars } from '../cluster/vars.ts';

/** All of them. `kube_vip_address` is the one that switches the role on. */
export const vars = {
  properties: {
    kube_vip_address: clusterVars.kube_vip_address,
    kube_vip_mode: {
      type: 'string',
      enum: ['arp', 'bgp'],
      description:
        '`arp`: one server at a time has the address and announces it on the local network. `bgp`: every server announces it to ' +
        'routers (kube_vip_bgp).',
      default: 'arp',
    },
    kube_vip_lease: {
      type: 'string',
      pattern: '^(calm|fast|[0-9]+/[0-9]+/[0-9]+)$',
      description:
        'How soon a lost holder is noticed. `calm` (lease 15 s, renewed within 10, tried every 2): the API is away from its ' +
        'address for about 22 s when the holder loses its network, 15 s when its k3s stops. `fast` (5/3/1): 7 s in either case, ' +
        'but a disk that stalls for 3 s moves the address for nothing, so not with SD cards. Or three numbers of your own.',
      default: 'calm',
      examples: ['calm', 'fast', '10/7/2'],
    },
    kube_vip_interface: {
      type: 'string',
      format: 'interface',
      description:
        'The interface that gets the address, by the same name on every server. Default: the one whose network the address is in.',
      examples: ['eth0'],
    },
    kube_vip_image: {
      type: 'string',
      description: 'The image, without its tag. It is pulled only where the node does not have it.',
      default: 'ghcr.io/kube-vip/kube-vip',
    },
    kube_vip_version: {
      type: 'string',
      pattern: '^v[0-9]+\\.[0-9]+\\.[0-9]+$',
      description: 'The release of kube-vip: the tag of its image.',
      default: 'v1.2.3',
    },
    kube_vip_bgp: {
      type: 'object',
      description: 'For `kube_vip_mode: bgp`: our own AS number, and the routers.',
      properties: {
        as: { type: 'integer', minimum: 1, maximum: 4294967295, description: 'The AS number of the servers.' },
        peers: {
          type: 'array',
          items: {
            type: 'string',
            pattern: '^[0-9.]+:[0-9]+:[^:]*:(true|false)$',
            description: '`address:AS:password:multihop`, as kube-vip has it; the password may be empty.',
          },
          minItems: 1,
          description: 'The routers that the address is announced to.',
          examples: [['192.168.2.1:65000::false']],
        },
      },
      required: ['as', 'peers'],
      examples: [{ as: 65001, peers: ['192.168.2.1:65000::false'] }],
    },
    kube_vip_timeout: {
      type: 'integer',
      minimum: 10,
      description:
        'Seconds until the pods must run and the API answer at the address; the image may have to be pulled first.',
      default: 300,
    },
  },
} as const satisfies VarsSchema;
