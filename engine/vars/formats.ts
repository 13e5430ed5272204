/** The formats of string variables, and how they are checked. */
import { isIPv4 } from 'node:net';

/** A format of text. */
export interface Format {
  /** For messages: `an IPv4 address (10.0.0.1)`. */
  readonly description: string;
  readonly test: (text: string) => boolean;
}

const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const HOSTNAME = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*$`);

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;

/** Every format by name. */
export const FORMATS: Readonly<Record<string, Format>> = {
  ipv4: { description: 'an IPv4 address (10.0.0.1)', test: isIPv4 },
  cidr: {
    description: 'an IPv4 network (10.0.0.0/24)',
    test: (text) => {
      const [address = '', bits = '', ...more] = text.split('/');
      return more.length === 0 && isIPv4(address) && /^(3[0-2]|[12]?\d)$/.test(bits);
    },
  },
  hostname: {
    description: 'a host name (node-1.example.org)',
    // Only digits and dots: an address, or a misspelt one.
    test: (text) => HOSTNAME.test(text) && !/^[\d.]+$/.test(text),
  },
  'port-range': {
    description: 'a port or a range of ports (8472, 30000:32767)',
    test: (text) => {
      const [first = '', last = first, ...more] = text.split(/[:-]/);
      return more.length === 0 && isPort(first) && isPort(last) && Number(first) <= Number(last);
    },
  },
  url: {
    description: 'a URL with http or https (https://example.org/path)',
    test: (text) => /^https?:\/\/[^\s/]/.test(text) && URL.canParse(text),
  },
  interface: {
    description: 'a network interface (eth0)',
    // Linux: at most 15 bytes, no slash, no space (net/core/dev.c, dev_valid_name).
    test: (text) => /^[^\s/:]{1,15}$/.test(text) && text !== '.' && text !== '..',
  },
};
