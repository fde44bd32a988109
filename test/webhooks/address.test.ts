import { describe, expect, it } from 'vitest';
import { whyNotAddress } from '../../src/webhooks/address.ts';
import { destinationOf } from '../../src/webhooks/destination.ts';
import { faultOfAllowance, webhookPolicy } from '../../src/webhooks/policy.ts';

const STRICT = webhookPolicy([], false);

const REFUSED = [
  ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.100.100.200', '127.0.0.1', '127.255.255.254'],
  ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.192', '192.0.2.1', '192.88.99.1', '192.168.1.1'],
  ...['198.18.0.1', '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255'],
  ...['168.63.129.16', '::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:169.254.169.254', '::ffff:10.0.0.1'],
  ...['::ffff:0:127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::a9fe:a9fe', 'fe80::1', 'fe80::1%eth0', 'fec0::1'],
  ...['fc00::1', 'fd00:ec2::254', 'ff02::1', '2001:db8::1', '2002:7f00:1::', '2002:a00:1::1', '2001::1', '100::1'],
  ...['2001:10::1', '2001:20::1', '3fff::1', '5f00::1', '4000::1', '1::1', 'not an address', ''],
];

describe('an address that a webhook may not reach', () => {
  it.each(REFUSED)('%s is refused', (address) => {
    expect(whyNotAddress(address, STRICT)).toBeTypeOf('string');
  });

  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111', '2a00:1450:4001::1', '::ffff:8.8.8.8'])(
    '%s is public, and is not',
    (address) => {
      expect(whyNotAddress(address, STRICT)).toBeUndefined();
    },
  );

  it('may be allowed by an operator, range by range', () => {
    const policy = webhookPolicy(['10.20.0.0/16', 'fd12::/16', '192.168.7.9'], false);
    for (const inside of ['10.20.3.4', 'fd12::1', '192.168.7.9', '::ffff:10.20.3.4'])
      expect([inside, whyNotAddress(inside, policy)]).toEqual([inside, undefined]);
    for (const outside of ['10.21.0.1', 'fd13::1', '192.168.7.8', '127.0.0.1'])
      expect([outside, whyNotAddress(outside, policy)]).not.toEqual([outside, undefined]);
  });
});

const PUBLIC = async () => [{ address: '93.184.216.34', family: 4 }];
const refusal = async (url: string, resolve = PUBLIC, policy = STRICT) => {
  const destination = await destinationOf(url, policy, resolve);
  return 'refused' in destination ? destination.refused : undefined;
};

describe('a URL that may not be registered', () => {
  it.each([
    ['http://example.com/', 'https://'],
    ['ftp://example.com/', 'https://'],
    ['file:///etc/passwd', 'https://'],
    ['gopher://example.com/', 'https://'],
    ['example.com/hooks', 'not a URL'],
    ['https://', 'not a URL'],
    ['https://user:secret@example.com/', 'user name'],
    ['https://user@example.com/', 'user name'],
    ['https://example.com:25/', 'Port 25'],
    ['https://example.com:22/', 'Port 22'],
    ['https://example.com:0/', 'Port 0'],
    ['https://127.0.0.1/', 'loopback'],
    ['https://127.1/', 'loopback'],
    ['https://0x7f.0.0.1/', 'loopback'],
    ['https://2130706433/', 'loopback'],
    ['https://017700000001/', 'loopback'],
    ['https://0/', 'unspecified'],
    ['https://[::1]/', 'loopback'],
    ['https://[::ffff:127.0.0.1]/', 'loopback'],
    ['https://[::ffff:7f00:1]/', 'loopback'],
    ['https://[64:ff9b::7f00:1]/', 'not public'],
    ['https://169.254.169.254/latest/meta-data/', 'link-local'],
    ['https://①②⑦.0.0.1/', 'loopback'],
    [`https://example.com/${'a'.repeat(2_048)}`, 'longer'],
  ])('%s is told why', async (url, why) => {
    expect(await refusal(url)).toContain(why);
  });

  it('is one of whose addresses a single one is not public', async () => {
    const both = async () => [...(await PUBLIC()), { address: '10.1.2.3', family: 4 }];
    const why = await refusal('https://example.com/', both);
    expect(why).toContain('private');
    expect(why).not.toContain('10.1.2.3');
  });

  it('is one whose name is not found', async () => {
    const none = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    };
    expect(await refusal('https://nowhere.example/', none)).toContain('no address');
  });

  it('is one whose name nobody can look up at the moment, which is not said to have no address', async () => {
    const away = async () => {
      throw Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' });
    };
    const late = async () => {
      throw new Error('There was no answer in time');
    };
    for (const resolve of [away, late])
      expect(await refusal('https://nowhere.example/', resolve)).toContain(
        'could not be looked up in the DNS just now',
      );
  });

  it('is not one that goes to a public address, or to what an operator allows', async () => {
    expect(await refusal('https://example.com/hooks')).toBeUndefined();
    expect(await refusal('https://example.com:8443/hooks')).toBeUndefined();
    const inside = async () => [{ address: '10.1.2.3', family: 4 }];
    const policy = webhookPolicy(['Hooks.corp.example'], true);
    expect(await refusal('http://hooks.corp.example/', inside, policy)).toBeUndefined();
    expect(await refusal('http://hooks.corp.example./', inside, policy)).toBeUndefined();
    expect(await refusal('http://other.corp.example/', inside, policy)).toContain('private');
  });
});

it('an exception that is neither a name nor a range is a fault of the configuration', () => {
  for (const fit of ['10.0.0.0/8', '::1', '127.0.0.1', 'fd00::/8', 'hooks.corp.example', 'localhost'])
    expect([fit, faultOfAllowance(fit)]).toEqual([fit, undefined]);
  for (const unfit of ['10.0.0.0/33', 'https://a.example', '*.example', 'a b', 'a..b', '/8'])
    expect([unfit, faultOfAllowance(unfit)]).not.toEqual([unfit, undefined]);
});
