import { isIPv6 } from 'node:net'

type Groups = readonly number[]

/** Two groups of an IPv6 address, from one on, as an IPv4 address. */
const pairAt = (groups: Groups, at: number) => ipv4(groups[at] ?? 0, groups[at + 1] ?? 0)
const ipv4 = (high: number, low: number) => [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')

const beginsWith = (...prefix: number[]) => (groups: Groups) => prefix.every((group, i) => groups[i] === group)

/** The ways in which an IPv6 address holds the IPv4 address that it leads to. */
const forms: Array<{ has: (groups: Groups) => boolean, addresses: (groups: Groups) => string[] }> = [
  // IPv4-mapped, IPv4-translated, IPv4-compatible (RFC 4291, RFC 2765), and NAT64 (RFC 6052).
  ...[[0, 0, 0, 0, 0, 0xffff], [0, 0, 0, 0, 0xffff, 0], [0, 0, 0, 0, 0, 0], [0x64, 0xff9b, 0, 0, 0, 0]].map(prefix => ({
    has: beginsWith(...prefix),
    addresses: (groups: Groups) => [pairAt(groups, 6)]
  })),
  {
    // NAT64 of the network's own (RFC 8215). How long its prefix is decides where the address stands (RFC 6052, 2.2).
    has: beginsWith(0x64, 0xff9b, 1),
    addresses: groups => {
      const [, , , third = 0, fourth = 0, fifth = 0, sixth = 0] = groups
      const bits = (high: number, low: number) => ((high & 0xff) << 8) | (low >> 8)
      return [
        ipv4(third, bits(fourth, fifth)),
        ipv4(bits(third, (fourth & 0xff) << 8), fifth),
        ipv4(bits(fourth, fifth), bits(fifth, sixth)),
        pairAt(groups, 6)
      ]
    }
  },
  // 6to4 (RFC 3056).
  { has: beginsWith(0x2002), addresses: groups => [pairAt(groups, 1)] },
  // Teredo (RFC 4380) has the bits of its client's address inverted.
  { has: beginsWith(0x2001, 0), addresses: groups => [pairAt(groups.map(group => group ^ 0xffff), 6)] },
  // ISATAP (RFC 5214), of any network.
  {
    has: groups => (groups[4] === 0 || groups[4] === 0x200) && groups[5] === 0x5efe,
    addresses: groups => [pairAt(groups, 6)]
  }
]

/** The IPv4 addresses that an IPv6 address may lead to by way of a gateway or a tunnel; none for anything else. */
export function embeddedIn (address: string): string[] {
  if (!isIPv6(address)) return []
  const groups = groupsOf(address)
  return forms.flatMap(({ has, addresses }) => has(groups) ? addresses(groups) : [])
}

/** The eight groups of an IPv6 address. The URL parser unifies its spellings. */
function groupsOf (address: string): Groups {
  const { hostname } = new URL(`http://[${address.replace(/%.*$/, '')}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const parse = (part: string) => part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16))
  const [before, after] = [parse(head), parse(tail ?? '')]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}
