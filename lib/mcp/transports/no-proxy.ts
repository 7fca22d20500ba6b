import { BlockList, isIP } from 'node:net'
import { hostIn, isIn } from './addresses.ts'

/**
 * The hosts of a `NO_PROXY`, as a test of addresses.
 *
 * An entry is a name, which stands for its subdomains, too, an address, or a range of addresses like `10.0.0.0/8`. A
 * name or an address may have a port. `*` stands for every host.
 */
export function parseNoProxy (text: string): (url: URL) => boolean {
  const tests = text.split(/[,\s]+/).filter(entry => entry !== '').map(testOf)
  return url => {
    const host = hostIn(url)
    const port = url.port === '' ? { 'http:': '80', 'https:': '443' }[url.protocol] : url.port
    return tests.some(test => test(host, port))
  }
}

type HostTest = (host: string, port: string | undefined) => boolean

function testOf (entry: string): HostTest {
  if (entry === '*') return () => true
  const [, network = '', prefix] = /^(.+)\/(\d+)$/.exec(entry) ?? []
  if (isIP(network) !== 0) return inList(list => list.addSubnet(network, Number(prefix), familyOf(network)))
  // An IPv6 address has colons of its own, so a port needs brackets before it.
  const [, name = entry, wanted] = (isIP(entry) === 0 && /^(.+?)(?::(\d+))?$/.exec(entry)) || []
  const host = name.replace(/^\[(.*)\]$/, '$1').replace(/^\*?\.|\.$/g, '').toLowerCase()
  const isHost = isIP(host) !== 0
    ? inList(list => list.addAddress(host, familyOf(host)))
    : (asked: string) => asked === host || asked.endsWith(`.${host}`)
  return (asked, port) => (wanted === undefined || wanted === port) && isHost(asked, port)
}

/** Addresses have many spellings, so they are not compared as texts. */
function inList (fill: (list: BlockList) => void): HostTest {
  const list = new BlockList()
  try {
    fill(list)
  } catch {
    return () => false // a prefix that is too long
  }
  return host => isIn(list, host)
}

const familyOf = (address: string) => isIP(address) === 4 ? 'ipv4' : 'ipv6'
