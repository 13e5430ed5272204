import fc from 'fast-check';
import t from 'tap';
import { isInNetwork, networkOf, parseNetwork } from '../../engine/ip-address.ts';

t.test('networks in their short form, host bits cleared', async (t) => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.77/24', '192.0.2.0/24'],
    ['192.0.2.77', '192.0.2.77/32'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['FD00:0::05', 'fd00::5/128'],
    ['2001:db8:0:0:1:0:0:1/64', '2001:db8::/64'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1/128'],
    ['::/0', '::/0'],
    ['192.0.2.1/33', undefined],
    ['192.0.2.1/', undefined],
    ['192.0.2.1/8/8', undefined],
    ['192.0.2.01', undefined],
    ['192.0.2', undefined],
    ['fd00::/129', undefined],
    ['node-1', undefined],
    ['', undefined],
  ];
  for (const [text, wanted] of rows) {
    const network = parseNetwork(text);
    t.equal(network && `${network.address}/${network.prefix}`, wanted, text);
  }
  t.equal(networkOf({ address: '192.0.2.77', prefix: 25 }), '192.0.2.0/25');
});

t.test('an address is in its own network, and in no other of that size', async (t) => {
  const octet = fc.integer({ min: 0, max: 255 });
  const address = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
  fc.assert(
    fc.property(address, address, fc.integer({ min: 0, max: 32 }), (one, other, prefix) => {
      const [own, others] = [one, other].map((each) => networkOf({ address: each, prefix }));
      t.ok(isInNetwork(one, own ?? ''));
      t.equal(isInNetwork(one, others ?? ''), own === others);
    }),
  );
  t.notOk(isInNetwork('::1', '0.0.0.0/0'), 'another family');
  t.notOk(isInNetwork('node-1', '0.0.0.0/0'));
  t.notOk(isInNetwork('10.0.0.1', 'node-1'));
  t.ok(isInNetwork('fd00::1', 'fd00::/8'));
  t.ok(isInNetwork('10.0.0.1', '10.0.0.1'));
});
