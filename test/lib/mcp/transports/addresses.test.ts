import { promisify } from 'node:util'
import t from 'tap'
import { guardedBy, hostIn, isGuarded, type Lookup } from '../../../../lib/mcp/transports/addresses.ts'

/** Names that lead to these addresses, asked for one address and for all. */
async function refusalsOf (addresses: string[]): Promise<string[]> {
  const found = addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))
  const lookup: Lookup = (host, { all }, callback) => all
    ? callback(null, found)
    : callback(null, found[0]?.address ?? '', found[0]?.family)
  const guarded = promisify(guardedBy(lookup))
  const codes = await Promise.all([true, false].map(all =>
    guarded('up.test', { all }).then(() => 'none', (error: NodeJS.ErrnoException) => `${error.code}: ${error.message}`)))
  return codes
}

const refusal = 'EACCES: up.test leads to a link-local or metadata address'

/** Addresses that no name may lead to. */
const guarded = [
  '169.254.0.0', '169.254.169.254', '169.254.170.2', '169.254.255.255', 'fe80::1', 'fe80::1%eth0', 'febf::1',
  'fe80::a9fe:a9fe',
  '100.100.100.200', '168.63.129.16', '192.0.0.192',
  'fd00:ec2::254', 'fd00:ec2::23', 'fd00:0ec2:0:0:0:0:0:254', 'FD00:EC2::254', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe',
  'fd00:42::42', 'fd00:a9fe:a9fe::1', 'fd00:100::100:200',
  // IPv4-mapped, IPv4-translated, IPv4-compatible
  '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '0:0:0:0:0:ffff:a9fe:1', '::ffff:100.100.100.200', '::ffff:a83f:8110',
  '::ffff:0:169.254.169.254', '::169.254.169.254', '::a9fe:a9fe', '::100.100.100.200', '::192.0.0.192',
  // NAT64, also of a network's own, with each length of prefix
  '64:ff9b::169.254.169.254', '64:ff9b::a9fe:1', '64:ff9b::100.100.100.200', '64:ff9b::a83f:8110',
  '64:ff9b:1::169.254.169.254', '64:ff9b:1:2:3:4:a9fe:a9fe', '64:ff9b:1:a9fe:a9:fe00::', '64:ff9b:1:7a9:fe:a9fe::',
  '64:ff9b:1:7:a9:fea9:fe00::', '64:ff9b:1:7:64:6464:c800::',
  // 6to4, Teredo, ISATAP
  '2002:a9fe:a9fe::', '2002:a9fe:1::1', '2002:6464:64c8::1', '2002:a83f:8110:1::', '2001:0:1:2:3:4:5601:5601',
  '2001:db8::5efe:169.254.169.254', '2001:db8::200:5efe:a9fe:1'
]

/** Their neighbours, and addresses that only look like them. */
const allowed = [
  '169.253.255.255', '169.255.0.0', '168.254.169.254', 'fe7f::1', 'fec0::1', '100.100.100.201', '100.100.100.199',
  '168.63.129.17', '168.63.129.15', '192.0.0.191', '192.0.0.193', '127.0.0.1', '10.0.0.1', '192.168.1.1', '::1', '::',
  'fd00:ec3::254', 'fd00:ec1::254', 'fd20:ce::253', 'fd20:cf::254', 'fd00:c1::a9fe:a9ff', 'fd00:42::43',
  'fd00:a9fe:a9fe::2', 'fd00:100::100:201', 'fd00::1',
  '::ffff:169.253.0.1', '::ffff:100.100.100.201', '::ffff:0:10.0.0.1', '::10.0.0.1', '::1:a9fe:a9fe',
  '64:ff9b::10.0.0.1', '64:ff9b::8.8.8.8', '64:ff9b:0:1::a9fe:a9fe', '65:ff9b::a9fe:a9fe', '64:ff9b:1::8.8.8.8',
  '64:ff9b:2::a9fe:a9fe', '2002:a00:1::', '2002:0:a9fe:a9fe::', '2003:a9fe:a9fe::', '2001:0:a9fe:a9fe::1',
  '2001:1::5601:5601', '2001:db8::a9fe:a9fe', '2001:db8::5eff:a9fe:a9fe', '2606:4700::1'
]

t.test('a name that leads to where a cloud keeps metadata is refused, in whatever form of address', async t => {
  for (const address of guarded) {
    t.ok(isGuarded(address), address)
    t.strictSame(await refusalsOf([address]), [refusal, refusal], address)
    t.equal((await refusalsOf(['10.0.0.1', address]))[0], refusal, `one of two is ${address}`)
  }
})

t.test('the neighbours of these addresses are allowed', async t => {
  for (const address of allowed) t.strictSame(await refusalsOf([address]), ['none', 'none'], address)
  for (const name of ['', 'up.test', '169.254.169.254.test', 'fe80', 'localhost']) t.notOk(isGuarded(name), name)
})

t.test('the address in a URL is known in every spelling', async t => {
  for (const host of [
    '169.254.169.254', '169.254.169.254.', '2852039166', '0xa9fea9fe', '0xA9.0xFE.0xA9.0xFE', '0251.0376.0251.0376',
    '025177524776', '169.254.43518', '169.16689662', '0xa9.254.0251.254', '１６９.254.169.254', '%31%36%39.254.169.254',
    '169。254。169。254', '1684301000', '0x64.100.100.200', '0250.077.0201.020', '0xc00000c0',
    '[fe80::1]', '[FE80:0:0:0::1]', '[::ffff:169.254.169.254]', '[0:0:0:0:0:ffff:a9fe:a9fe]', '[fd00:ec2::254]',
    '[fd00:0EC2:0000::0254]', '[64:ff9b::169.254.169.254]', '[2002:a9fe:a9fe::]', '[::169.254.169.254]'
  ]) t.ok(isGuarded(hostIn(new URL(`http://${host}:8080/mcp`))), host)
  for (const host of ['1684301001', '0xc00000c1', '169.254.test', '[64:ff9b::a00:1]', '2130706433']) {
    t.notOk(isGuarded(hostIn(new URL(`http://${host}:8080/mcp`))), host)
  }
})
